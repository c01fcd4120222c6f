/** The instructions at an exit, of the code that its trace has. */
import { hex } from '../base/text.ts';
import type { TracedCode } from '../picture/file/records.ts';
import { instructionsAround } from '../script/failure/code.ts';

export class PageCode {
  readonly #code: readonly TracedCode[];
  readonly #known = new Map<string, string | undefined>();

  constructor(code: readonly TracedCode[]) {
    this.#code = code;
  }

  /** The instruction before RIP and the one at it: an exit may come before or behind what made it. Undefined without its bytes. */
  at(vcpu: number, rip: bigint): string | undefined {
    const key = `${vcpu} ${rip}`;
    if (!this.#known.has(key)) this.#known.set(key, this.#words(vcpu, rip));
    return this.#known.get(key);
  }

  #words(vcpu: number, rip: bigint): string | undefined {
    const piece = this.#code.findLast(
      (one) => one.vcpu === vcpu && rip >= one.from && rip < one.from + BigInt(one.bytes.length),
    );
    if (!piece) return undefined;
    const lines = instructionsAround({ mode: piece.mode, code: piece }, rip);
    const at = lines.findIndex(({ address }) => address === rip);
    if (at < 0) return undefined;
    return lines
      .slice(Math.max(0, at - 1), at + 1)
      .map(({ address, text }) => `${address === rip ? '>' : ' '} ${hex(address)}  ${text}`)
      .join('\n');
  }
}
