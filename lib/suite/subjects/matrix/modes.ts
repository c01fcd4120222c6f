/** The modes in which a vCPU can write: segments, paging, privilege. */
import type { KvmSegment, KvmSregs } from '../../../abi/kvm/index.ts';
import { dataSegment } from '../../../guest/gdt.ts';
import type { CodeWidth } from './code.ts';
import { CODE, GDT, HIGH, IDT, layout, PAGE_DIRECTORY, PDPT, PML4, V86_DIRECTORY } from './layout.ts';

/** How a guest is when it writes. */
export interface Mode extends CodeWidth {
  /** Linear address of the APIC page, and of a page that no memory is behind. */
  apic: number;
  device: number;
  /** Its first instruction, as RIP has it. */
  rip: number;
  /** Bits of RFLAGS that belong to it. */
  flags: bigint;
  /** It may not use ports: it leaves by a write to the device. */
  noPorts?: boolean;
  /** What of the special registers is its own. */
  sregs(base: KvmSregs): KvmSregs;
}

const CR0_PE = 1n;
const CR0_ET = 1n << 4n;
const CR0_PG = 1n << 31n;
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const EFER_LONG = (1n << 8n) | (1n << 10n);
const IOPL3 = 3n << 12n;
const VM = 1n << 17n;

const segment = (given: Partial<KvmSegment>): KvmSegment => ({ ...dataSegment(), selector: 0x10, ...given });

interface Segments {
  cs?: Partial<KvmSegment>;
  data?: Partial<KvmSegment>;
  cpl?: 0 | 3;
}

function segments({ cs = {}, data = {}, cpl = 0 }: Segments): Pick<KvmSregs, 'cs' | 'ds' | 'es' | 'fs' | 'gs' | 'ss'> {
  const code = segment({ selector: 0x08 | cpl, type: 11, dpl: cpl, ...cs });
  const other = segment({ selector: 0x10 | cpl, dpl: cpl, ...data });
  return { cs: code, ds: other, es: other, fs: other, gs: other, ss: other };
}

const plain = { apic: layout.apic, device: layout.device, rip: CODE, flags: 0n };

function protectedMode(bits: CodeWidth['bits'], more: Partial<KvmSregs>, own: Segments = {}): Mode {
  return {
    ...plain,
    bits,
    flags: own.cpl === 3 ? IOPL3 : 0n,
    sregs: (base) => ({
      ...base,
      cr0: CR0_PE | CR0_ET,
      cr3: 0n,
      cr4: 0n,
      efer: 0n,
      gdt: { base: BigInt(GDT), limit: 0x1f },
      idt: { base: BigInt(IDT), limit: 0x7ff },
      ...segments(own),
      ...more,
    }),
  };
}

function realMode(cs: Partial<KvmSegment>): Mode {
  return {
    ...plain,
    bits: 16,
    rip: 0,
    sregs: (base) => ({
      ...base,
      cr0: CR0_ET,
      cr3: 0n,
      cr4: 0n,
      efer: 0n,
      ...segments({ cs: { ...cs, type: 3 }, data: { selector: 0, db: 0 } }),
      idt: { base: 0n, limit: 0x3ff },
    }),
  };
}

const paging = (cr3: number, cr4: bigint, efer = 0n) => ({
  cr0: CR0_PE | CR0_ET | CR0_PG,
  cr3: BigInt(cr3),
  cr4,
  efer,
});
const paged = paging(PAGE_DIRECTORY, CR4_PSE);
const pae = paging(PDPT, CR4_PAE);
const long = paging(PML4, CR4_PAE, EFER_LONG);
const code64 = { db: 0, l: 1 };
const CODE16 = { base: BigInt(CODE), selector: CODE >> 4, limit: 0xffff, db: 0, g: 0 };

export const flat32 = protectedMode(32, {});

/** Beside `flat32`, which is the plain one. */
export const modes = {
  real16: realMode(CODE16),
  /** The code segment has a base of its own, and reaches everything. */
  realCs: realMode({ base: BigInt(CODE), selector: 0, db: 0 }),
  protected16: { ...protectedMode(16, {}, { cs: { ...CODE16, selector: 0x08 } }), rip: 0 },
  user32: protectedMode(32, {}, { cpl: 3 }),
  paged32: protectedMode(32, paged),
  paged32User: protectedMode(32, paged, { cpl: 3 }),
  pae32: protectedMode(32, pae),
  pae32User: protectedMode(32, pae, { cpl: 3 }),
  long64: protectedMode(64, long, { cs: code64 }),
  long64User: protectedMode(64, long, { cs: code64, cpl: 3 }),
  long64High: { ...protectedMode(64, long, { cs: code64 }), rip: HIGH + CODE },
  compat32: protectedMode(32, long),
  compat32User: protectedMode(32, long, { cpl: 3 }),
  virtual8086: {
    bits: 16,
    small: true,
    apic: layout.lowApic,
    device: layout.lowDevice,
    rip: 0,
    flags: VM,
    noPorts: true,
    sregs: (base) => ({
      ...base,
      ...paging(V86_DIRECTORY, CR4_PSE),
      ...segments({
        cs: { ...CODE16, type: 3, dpl: 3 },
        data: { selector: 0, limit: 0xffff, g: 0, db: 0, dpl: 3 },
      }),
    }),
  },
} as const satisfies Record<string, Mode>;
