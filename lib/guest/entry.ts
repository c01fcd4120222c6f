/** What the ways into a guest have in common. */
import { type KvmSregs, RFLAGS_FIXED, RFLAGS_IF } from '../abi/kvm/index.ts';
import { integer, optional, shape, u64Bigint } from '../base/shape.ts';

/** A descriptor table, as GDTR and IDTR have it. */
export interface TableRegister {
  /** Guest linear address. */
  base: bigint;
  /** Its size in bytes minus one, 0 to 0xffff. */
  limit: number;
}

/** The descriptor tables of a guest. */
export interface GuestTables {
  /** Default: as it is. */
  gdt?: TableRegister;
  /** Default: empty. */
  idt?: TableRegister;
}

const tableRegister = shape<TableRegister>('a descriptor table has', { base: u64Bigint, limit: integer(0, 0xffff) });

/** What every way into a guest takes. */
export const entryTables = optional(
  shape<GuestTables>('the tables of a guest are', { gdt: optional(tableRegister), idt: optional(tableRegister) }),
);
export const entryAddress = integer(0, 0xffff_ffff);

export function tablesOf(sregs: KvmSregs, tables: GuestTables = {}): Pick<KvmSregs, 'gdt' | 'idt'> {
  return { gdt: tables.gdt ?? sregs.gdt, idt: tables.idt ?? { base: 0n, limit: 0 } };
}

export const clearedRegs = {
  rax: 0n,
  rbx: 0n,
  rcx: 0n,
  rdx: 0n,
  rsi: 0n,
  rdi: 0n,
  rbp: 0n,
  r8: 0n,
  r9: 0n,
  r10: 0n,
  r11: 0n,
  r12: 0n,
  r13: 0n,
  r14: 0n,
  r15: 0n,
} as const;

export function ripAndFlags(entry: { rip: number; rsp: number; interrupts?: boolean }): {
  rip: bigint;
  rsp: bigint;
  rflags: bigint;
} {
  return {
    rip: BigInt(entry.rip),
    rsp: BigInt(entry.rsp),
    rflags: RFLAGS_FIXED | (entry.interrupts ? RFLAGS_IF : 0n),
  };
}
