// The guests of the benchmarks: the C side gets the same bytes.

/** What the overhead shim has a vCPU exit with: kvm_run.exit_reason, the first bytes of its union, and the data of an `out`. */
export interface Answer {
  readonly reason: number;
  readonly payload: Uint8Array;
  readonly data: Uint8Array;
}

export interface Guest {
  readonly name: string;
  /** Flat 32-bit code that makes as many exits as ECX says, then an `out` to DONE, and halts. */
  readonly code: Uint8Array;
  readonly each: Answer;
}

export const PORT = 0x42;
export const DONE = 0x10;
export const MMIO = 0xd000_0000;

/** Union of kvm_run, as 32-bit words. */
function answer(reason: number, words: number[], data: number[] = []): Answer {
  const payload = new Uint8Array(32);
  const view = new DataView(payload.buffer);
  for (const [index, word] of words.entries()) view.setUint32(4 * index, word, true);
  return { reason, payload, data: Uint8Array.of(...data, ...Array(8 - data.length).fill(0)) };
}

/** Direction out, size, port, once, data at 4096. */
const out = (port: number, size: number, data: number[]) =>
  answer(2, [(port << 16) | (size << 8) | 1, 1, 4096, 0], data);

/** The exit that a guest ends with: `out DONE, al`. */
export const last = out(DONE, 1, [0]);

const le32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
// loop: ...; then `out DONE, al` and HLT.
const times = (...body: number[]) => Uint8Array.of(...body, 0xe2, -2 - body.length, 0xe6, DONE, 0xf4, 0xeb, 0xfd);
/** `mov dword [address], value` */
const store = (address: number, value: number) => [0xc7, 0x05, ...le32(address), ...le32(value)];
const ICR = 0x40f0;

export const guests = {
  pio: { name: 'pio', code: times(0xe7, PORT), each: out(PORT, 4, [0, 0, 0, 0]) },
  mmio: { name: 'mmio', code: times(...store(MMIO, 1)), each: answer(6, [MMIO, 0, 1, 0, 4, 1]) },
  dsm: { name: 'dsm', code: times(...store(0xfee0_0300, ICR)), each: answer(45, [0, 0x300, ICR, 0]) },
  spin: { name: 'spin', code: Uint8Array.of(0xeb, 0xfe), each: last },
} satisfies Record<string, Guest>;

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The arguments by which the C side gets to know them: bench/c/reference.c. */
export const guestArguments = Object.values(guests).map(
  ({ name, code, each }) =>
    `${name}=${[hex(code), each.reason, hex(each.payload), hex(each.data), hex(last.payload)].join(',')}`,
);
