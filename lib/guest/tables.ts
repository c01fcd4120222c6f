/** Writes descriptor tables, page tables and handlers into a guest's memory. */
import type { GuestMemory } from '../kvm/guest-memory.ts';
import type { GuestMode } from './code.ts';
import type { TableRegister } from './entry.ts';
import { GDT_SIZE, gdtBytes } from './gdt.ts';
import { flat32Handlers, long64Handlers, real16Handlers, stubOffset } from './handlers.ts';
import { idt32, idt64, idtLimits, ivt16 } from './idt.ts';
import { type GuestLayout, REAL16_HANDLERS } from './layout.ts';
import { identityTables } from './page-tables.ts';

/** A program's own handlers: guest address of each; of real mode the segment's begin and the offset in it. */
export type OwnHandlers = ReadonlyMap<number, number>;

/** What is the same for all machines, by what makes it: a check of one exit makes a machine of its own. Copied, never changed. */
const made = new Map<string, Uint8Array>();

function once(what: string, make: () => Uint8Array): Uint8Array {
  const known = made.get(what);
  if (known !== undefined) return known;
  const bytes = make();
  made.set(what, bytes);
  return bytes;
}

/** The tables of a machine's guests, written into its memory when the first guest of a mode needs them. */
export class GuestTableWriter {
  readonly #memory: GuestMemory;
  readonly #layout: GuestLayout;
  readonly #emulated: boolean;
  readonly #written = new Set<GuestMode | 'gdt'>();

  constructor(memory: GuestMemory, layout: GuestLayout, emulated: boolean) {
    this.#memory = memory;
    this.#layout = layout;
    this.#emulated = emulated;
  }

  get gdt(): TableRegister {
    return { base: BigInt(this.#layout.gdt), limit: GDT_SIZE - 1 };
  }

  /** What a mode needs once, whichever vCPU is in it. */
  prepare(mode: GuestMode): void {
    this.#once('gdt', () => this.#memory.write(this.#layout.gdt, gdtBytes()));
    this.#once(mode, () => {
      if (mode === 'real16') {
        this.#memory.write(REAL16_HANDLERS, once(mode, real16Handlers));
        this.#writeIvt(new Map(), 0);
      } else if (mode === 'flat32') {
        this.#memory.write(
          this.#layout.flat32Handlers,
          once(this.#emulated ? 'flat32, emulated' : mode, () => flat32Handlers(this.#emulated)),
        );
      } else {
        this.#memory.write(this.#layout.long64Handlers, once(mode, long64Handlers));
        this.#memory.write(this.#layout.pageTables, identityTables(this.#layout.pageTables));
      }
    });
  }

  #once(what: GuestMode | 'gdt', write: () => void): void {
    if (!this.#written.has(what)) write();
    this.#written.add(what);
  }

  /**
   * The interrupt table of one vCPU: the default handlers, and before them the program's own.
   *
   * @param own of real mode: offsets in `segment`
   */
  writeIdt(mode: GuestMode, vcpuId: number, own: OwnHandlers, segment = 0): TableRegister {
    if (mode === 'real16') {
      this.#writeIvt(own, segment);
      return { base: 0n, limit: idtLimits.real16 };
    }
    const handlers = mode === 'flat32' ? this.#layout.flat32Handlers : this.#layout.long64Handlers;
    const handler = (vector: number) => own.get(vector) ?? handlers + stubOffset(mode, vector);
    const base = this.#layout.idt(vcpuId);
    const make = () => (mode === 'flat32' ? idt32(handler) : idt64(handler));
    // The handlers lie where the number of vCPUs says.
    this.#memory.write(base, own.size === 0 ? once(`IDT of ${mode} at ${handlers}`, make) : make());
    return { base: BigInt(base), limit: idtLimits[mode] };
  }

  #writeIvt(own: OwnHandlers, segment: number): void {
    const stub = (vector: number) => ({ segment: 0, offset: REAL16_HANDLERS + stubOffset('real16', vector) });
    const table = ivt16((vector) => {
      const offset = own.get(vector);
      return offset === undefined ? stub(vector) : { segment, offset };
    });
    this.#memory.write(0, table);
  }
}
