/** What the page is given: lib/runner/trace-page.ts writes it. Lists of numbers, since there may be 100,000 events. */
export interface PageData {
  title: string;
  lanes: string[];
  kinds: string[];
  modes: string[];
  states: string[];
  /** Words, each once. */
  words: string[];
  /** In the order of time, a list for each member: nanoseconds, lane, kind, words, place in the trace. */
  items: { ns: number[]; lane: number[]; kind: number[]; text: number[]; seq: number[] };
  /** In the order of their items: item, lane that it goes to, mode, state, words of why or -1. */
  arrows: { item: number[]; to: number[]; mode: number[]; state: number[]; why: number[] };
  /** Lines beside the picture: what failed. */
  notes: string[];
}
