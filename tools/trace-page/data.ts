/** What the page is given: lib/runner/trace-page.ts writes it. Lists of numbers, since there may be 100,000 events. */
export interface PageData {
  title: string;
  lanes: string[];
  /** Lanes that belong together, such as those of a node, from above to below. */
  groups: { name: string; first: number; last: number }[];
  kinds: string[];
  /** Which of the kinds is the kernel's own events, which stand below the others; -1: there are none. */
  kernel: number;
  modes: string[];
  states: string[];
  /** Words, each once. */
  words: string[];
  /** In the order of time, a list for each member: nanoseconds, lane, kind, words, place in the trace (-1: none), and the words of its instructions or -1. */
  items: { ns: number[]; lane: number[]; kind: number[]; text: number[]; seq: number[]; code: number[] };
  /** In the order of their items: item, lane that it goes to, mode, state, words of why or -1. */
  arrows: { item: number[]; to: number[]; mode: number[]; state: number[]; why: number[] };
  /** Lines beside the picture: what failed. */
  notes: string[];
}
