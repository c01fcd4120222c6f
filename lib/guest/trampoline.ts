/**
 * Where an AP begins whose program is not for real mode: SIPI starts every CPU in real mode, and this takes it on.
 * Source: Intel SDM volume 3, "Mode Switching", "Initializing IA-32e Mode".
 */
import { asm } from './asm/index.ts';
import type { TableRegister } from './entry.ts';
import { CODE32, CODE64, DATA } from './gdt.ts';

export interface TrampolineTo {
  mode: 'flat32' | 'long64';
  gdt: TableRegister;
  idt: TableRegister;
  /** For long64: the PML4. */
  cr3: number;
  rip: number;
  rsp: number;
  interrupts: boolean;
}

/** The page as it must lie at `address`, a multiple of 4096 below 1 MiB. */
export function trampoline(address: number, to: TrampolineTo): Uint8Array {
  const intoLong = asm.flat32`
      mov eax, 1 << 5                 ; CR4.PAE
      mov cr4, eax
      mov eax, ${to.cr3}
      mov cr3, eax
      mov ecx, 0xc0000080             ; IA32_EFER
      rdmsr
      or ah, 1                        ; LME
      wrmsr
      mov eax, cr0
      or eax, 1 << 31                 ; PG
      mov cr0, eax
  `;
  return asm.real16`
      org ${address}
      cli
      o32 lgdt [cs:gdtr - $$]
      mov eax, cr0
      or al, 1
      mov cr0, eax
      jmp dword ${CODE32}:flat
    gdtr:
      dw ${to.gdt.limit}
      dd ${to.gdt.base}
    idtr:
      dw ${to.idt.limit}
      dd ${to.idt.base}
      bits 32
    flat:
      mov eax, ${DATA}
      mov ds, eax
      mov es, eax
      mov fs, eax
      mov gs, eax
      mov ss, eax
      mov esp, ${to.rsp}
      lidt [idtr]
      ${to.mode === 'long64' ? intoLong : 'nop'}
      ${to.interrupts ? 'sti' : 'cli'}
      jmp ${to.mode === 'long64' ? CODE64 : CODE32}:${to.rip}
  `.bytes;
}
