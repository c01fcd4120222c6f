/** Guest code that does something sensible, for mutations to begin with. */
import {
  asm,
  enableApic,
  enterX2apic,
  type GuestMode,
  initSipiSipi,
  ipi,
  logicalFlat,
  nmi,
  repeat,
  selfIpi,
} from 'kvm-dsm';

const x2apic = { x2apic: true };

const flat32 = () => [
  asm.flat32`
    ${enableApic()}
    ${ipi({ to: 1, vector: 0x40 })}
    ${nmi(1)}
    hlt`,
  asm.flat32`
    ${enableApic()}
    ${logicalFlat(1)}
    ${repeat(3, ipi({ to: 'all', vector: 0x51 }))}
    ${initSipiSipi(1, 1)}
    hlt`,
  asm.flat32`
    ${enterX2apic()}
    ${ipi({ to: 1, vector: 0x61, ...x2apic })}
    ${selfIpi(0x62)}
    sti
    hlt`,
  asm.flat32`
    mov edi, 0x30000
    mov ecx, 64
    rep stosd
    push dword 0x202
    popfd
    mov eax, cr0
    mov cr0, eax
    lidt [0x30000]
    int 0x30
    out 0x10, eax`,
  asm.flat32`
    mov eax, 1
    cpuid
    mov ecx, 0x1b
    rdmsr
    wrmsr
    rdtsc
    in al, 0x60
    insb
    mov dword [0xfee00320], 0x20040
    mov dword [0xfee003e0], 0xb
    mov dword [0xfee00380], 1000
    sti
    hlt`,
];

const long64 = () => [
  asm.long64`
    ${enableApic()}
    ${ipi({ to: 1, vector: 0x40 })}
    ${ipi({ to: 'others', vector: 0x41 })}
    sti
    hlt`,
  asm.long64`
    ${enterX2apic()}
    ${ipi({ to: 1, vector: 0x40, ...x2apic })}
    ${nmi('others', x2apic)}
    hlt`,
  asm.long64`
    mov rax, cr3
    mov cr3, rax
    invlpg [0x1000]
    mov rax, cr4
    mov cr4, rax
    mov ecx, 0xc0000080
    rdmsr
    wrmsr
    lock cmpxchg16b [0x30000]
    xsave [0x30040]
    syscall`,
  asm.long64`
    mov rdi, 0x30000
    mov rsi, 0xfee00000
    mov ecx, 16
    rep movsb
    push 0x10
    push rsp
    pushfq
    push 8
    push 0x1000
    iretq`,
];

const real16 = () => [
  asm.real16`
    ${enterX2apic()}
    ${ipi({ to: 1, vector: 0x40, ...x2apic })}
    sti
    hlt`,
  asm.real16`
    mov ax, 0x1000
    mov ds, ax
    mov word [0], 0x1234
    int 0x30
    mov dx, 0x3f8
    rep outsb
    hlt`,
  asm.real16`
    lgdt [0x100]
    mov eax, cr0
    or eax, 1
    mov cr0, eax
    jmp 8:0x1000`,
];

const made: Partial<Record<GuestMode, Uint8Array[]>> = {};

/** The bytes of them, for a place of no importance: what is mutated may as well jump elsewhere. */
export function goodPayloads(mode: GuestMode): readonly Uint8Array[] {
  const all = { flat32, long64, real16 }[mode];
  made[mode] ??= all().map(({ bytes }) => bytes);
  return made[mode];
}
