/** Outcomes and how often each came, most of them first. */
export function tableOf(totals: ReadonlyMap<string, number>): string {
  return [...totals]
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([outcome, times]) => `${String(times).padStart(7)}  ${outcome}`)
    .join('\n');
}
