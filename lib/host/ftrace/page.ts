/** A page of a trace as the kernel hands it out: `trace_pipe_raw`. Source: include/linux/ring_buffer.h, kernel/trace/ring_buffer.c. */

/** Where things lie in a page: what `events/header_page` says. */
export interface PageLayout {
  /** Bytes of a whole page. */
  readonly size: number;
  /** Where its events begin. */
  readonly data: number;
}

/** An event of a page: its head and its members as they lie there. */
export interface PageRecord {
  /** By the clock of the trace, in nanoseconds. */
  readonly at: bigint;
  readonly record: DataView;
}

/** @returns undefined if such a page is not known here */
export function parsePageLayout(text: string): PageLayout | undefined {
  const field = (name: string) => {
    const [, offset, size] = new RegExp(`field:[^;]* ${name};\\toffset:(\\d+);\\tsize:(\\d+);`).exec(text) ?? [];
    return offset === undefined ? undefined : { offset: Number(offset), size: Number(size) };
  };
  const [timestamp, commit, data] = [field('timestamp'), field('commit'), field('data')];
  if (timestamp?.offset !== 0 || timestamp.size !== 8 || commit?.offset !== 8 || commit.size !== 8 || !data) return;
  return { size: data.offset + data.size, data: data.offset };
}

/** type_len of what is no event. */
const PADDING = 29;
const TIME_EXTEND = 30;
const TIME_STAMP = 31;

/** Of `commit`: how many bytes are written. Above are flags: RB_MISSED_EVENTS and RB_MISSED_STORED. */
const LENGTH = 0xf_ffff;
/** An absolute time has so many bits; those above are the page's. */
const STAMP_BITS = 59n;

/** The events of a page. What is cut off at its end is left out. */
export function* recordsIn(page: DataView, { data }: PageLayout): Generator<PageRecord> {
  const began = page.getBigUint64(0, true);
  let at = began;
  const end = Math.min(page.byteLength, data + (page.getUint32(8, true) & LENGTH));
  for (let place = data; place + 4 <= end; ) {
    const head = page.getUint32(place, true);
    const [kind, delta] = [head & 31, head >>> 5];
    const word = place + 8 <= end ? page.getUint32(place + 4, true) : 0;
    if (kind === TIME_STAMP) {
      const low = (BigInt(word) << 27n) | BigInt(delta);
      at = ((began >> STAMP_BITS) << STAMP_BITS) | low;
      place += 8;
    } else if (kind === TIME_EXTEND) {
      at += (BigInt(word) << 27n) | BigInt(delta);
      place += 8;
    } else if (kind === PADDING) {
      // Nothing behind it in this page; or an event that was taken back.
      if (delta === 0) return;
      at += BigInt(delta);
      place += 4 + word;
    } else {
      at += BigInt(delta);
      const from = kind === 0 ? place + 8 : place + 4;
      const length = kind === 0 ? word - 4 : kind * 4;
      if (length < 8 || from + length > end) return;
      yield { at, record: new DataView(page.buffer, page.byteOffset + from, length) };
      place = from + length;
    }
  }
}
