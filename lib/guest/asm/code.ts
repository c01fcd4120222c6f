/** What an assembler template gives: code that has no fixed place yet. */
import { checkText, checkU64 } from '../../base/check.ts';
import { ArgumentError } from '../../base/errors.ts';
import { nearest } from '../../base/nearest.ts';
import { hex } from '../../base/text.ts';
import { bitsOf, type GuestCode, type GuestMode } from '../code.ts';
import { type Assembled, assemble, originOf } from './assemble.ts';
import { AsmError } from './error.ts';
import { renderListing } from './listing.ts';
import { parse } from './parse.ts';
import type { Source } from './source.ts';
import { type SteppedInstruction, steppedProgram } from './stepped.ts';
import type { Program } from './syntax.ts';

/** Guest code from a text. It has no fixed place: `at()` assembles it for an address. */
export class AsmCode implements GuestCode {
  /** How the CPU reads it. */
  readonly mode: GuestMode;
  /** The address of its first byte: what `at()` was given, else what `org` says, else 0. */
  readonly origin: bigint;
  readonly #source: Source;
  readonly #program: Program;
  readonly #pinned: bigint | undefined;
  #assembled: Assembled | undefined;
  /** The last other place: a machine asks again and again for the same. */
  #moved: AsmCode | undefined;

  private constructor(mode: GuestMode, source: Source, program: Program, pinned: bigint | undefined, origin: bigint) {
    this.mode = mode;
    this.#source = source;
    this.#program = program;
    this.#pinned = pinned;
    this.origin = origin;
  }

  /** @internal For `asm`. Throws AsmError; what depends on the address only, not before it is known. */
  static from(mode: GuestMode, source: Source): AsmCode {
    const program = parse(source, bitsOf(mode));
    const pinned = originOf(program);
    const code = new AsmCode(mode, source, program, pinned, pinned ?? 0n);
    try {
      code.#result();
    } catch (error) {
      if (!(error instanceof AsmError && error.addressDependent && pinned === undefined)) throw error;
    }
    return code;
  }

  /**
   * The same text for another place.
   *
   * @throws AsmError, also if the text says with `org` that it belongs elsewhere; ArgumentError
   */
  at(address: number | bigint): AsmCode {
    const origin = checkU64('address', address);
    if (origin === this.origin) return this;
    if (this.#pinned !== undefined) throw this.#misplaced(origin);
    if (this.#moved?.origin !== origin)
      this.#moved = new AsmCode(this.mode, this.#source, this.#program, undefined, origin);
    return this.#moved;
  }

  /** Throws AsmError if the text is wrong at this address. */
  get bytes(): Uint8Array {
    return this.#result().bytes;
  }

  /** Every label and its address; a local one by its full name, `main.loop`. */
  get labels(): ReadonlyMap<string, bigint> {
    return this.#result().labels;
  }

  /** The address of a label. Throws ArgumentError if there is none of this name. */
  label(name: string): bigint {
    const found = this.labels.get(checkText('name', name));
    if (found !== undefined) return found;
    const near = nearest(name, this.labels.keys());
    const advice = near ? `Did you mean ${near}?` : `Its labels: ${[...this.labels.keys()].join(', ') || 'none'}.`;
    throw new ArgumentError('name', `The code has no label '${name}'`, advice);
  }

  /** For people: each line of the text behind its number, address and bytes. */
  listing(): string {
    const texts = this.#source.lines.map((_, index) => this.#source.shown(index + 1));
    return renderListing(this.#result().lines, texts, this.#source.numbers);
  }

  /**
   * The same text with a schedule point before each instruction that can have one.
   *
   * @throws AsmError for a text that the points would change: one with `$` in an instruction
   * @internal
   */
  stepped(): AsmCode {
    const program = steppedProgram(this.#program, bitsOf(this.mode));
    return new AsmCode(this.mode, this.#source, program, this.#pinned, this.origin);
  }

  /**
   * What stands where, by address: of a stepped program the schedule point's, and of what it precedes.
   *
   * @internal
   */
  instructions(): SteppedInstruction[] {
    return this.#result().lines.flatMap(({ address, bytes, line }) =>
      bytes.length === 0 ? [] : [{ address: Number(address), bytes, text: this.#source.shown(line).trim() }],
    );
  }

  #result(): Assembled {
    this.#assembled ??= assemble(this.#program, this.#source, this.origin);
    return this.#assembled;
  }

  #misplaced(origin: bigint): AsmError {
    const reason = `The text says that it lies at ${hex(this.origin)}, but it is to lie at ${hex(origin)}`;
    return new AsmError(
      this.#program.origin!.place,
      reason,
      'Leave org out: labels get the address of the place it is loaded to.',
    );
  }
}
