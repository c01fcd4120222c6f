/** A 16550A, as far as a program that prints needs one: what is written comes out line by line, and nothing comes in. */
import type { PortDevice } from './bus.ts';

export const COM1 = 0x3f8;
export const SERIAL_PORTS = 8;

const [DATA, INTERRUPT_ENABLE, LINE_CONTROL, LINE_STATUS, SCRATCH] = [0, 1, 3, 5, 7];
/** The divisor's bytes stand in place of the first two registers. */
const DLAB = 0x80;
/** Both the holding register and the transmitter are empty. */
const EMPTY = 0x60;

export class Serial implements PortDevice {
  readonly #line: (text: string) => void;
  readonly #registers = new Uint8Array(SERIAL_PORTS);
  #text: number[] = [];

  /** @param line is told each line, without its end */
  constructor(line: (text: string) => void) {
    this.#line = line;
  }

  read(offset: number): number {
    if (offset === LINE_STATUS) return EMPTY;
    return offset === DATA ? 0 : this.#registers[offset]!;
  }

  write(offset: number, value: number): void {
    const latched = (this.#registers[LINE_CONTROL]! & DLAB) !== 0;
    if (offset === DATA && !latched) this.#byte(value & 0xff);
    if (offset === LINE_CONTROL || offset === SCRATCH || (offset === INTERRUPT_ENABLE && !latched))
      this.#registers[offset] = value;
  }

  #byte(byte: number): void {
    if (byte === 0x0a) this.flush();
    else if (byte !== 0x0d) this.#text.push(byte);
  }

  /** The line that has not ended yet. */
  flush(): void {
    const text = Buffer.from(this.#text).toString('utf8');
    this.#text = [];
    this.#line(text);
  }

  get isInLine(): boolean {
    return this.#text.length > 0;
  }
}
