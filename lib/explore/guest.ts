/**
 * The guest of the explorer: on each vCPU the same resident program in 64-bit mode, which asks the host what to do, does it, and
 * asks again. Its handlers write down their vectors. The machine code stands beside its text; a test holds both equal.
 */
import { codeSegment, dataSegment, GDT_SIZE, gdtBytes } from '../guest/gdt.ts';
import { idt64, idtLimits } from '../guest/idt.ts';
import { PAGE_TABLES_SIZE } from '../guest/layout.ts';
import { identityTables } from '../guest/page-tables.ts';
import { type GuestMemory, PAGE_SIZE } from '../kvm/guest-memory.ts';

/** The guest asks what to do. */
export const ASK_PORT = 0x10;
/** It had an exception that it should not have. */
export const FAULT_PORT = 0x11;

/** In a vCPU's box, which R14 points at. */
export const box = {
  /** 64 bits: the routine. */
  routine: 0,
  /** An address, or an MSR's number. */
  where: 8,
  low: 12,
  high: 16,
  readLow: 20,
  readHigh: 24,
  /** 1: handlers write EOI. */
  eoi: 28,
  handled: 32,
  vectors: 64,
} as const;
/** So many vectors have room in a box. */
export const MOST_HANDLED = 64;

const ready = {
  ask: { hex: 'e61041ff26', text: 'out 0x10, al\njmp [r14]' },
  write: { hex: '418b5e08418b460c8903', text: 'mov ebx, [r14 + 8]\nmov eax, [r14 + 12]\nmov [rbx], eax' },
  read: { hex: '418b5e088b0341894614', text: 'mov ebx, [r14 + 8]\nmov eax, [rbx]\nmov [r14 + 20], eax' },
  wrmsr: {
    hex: '4c8d3d0e000000418b4e08418b460c418b56100f30',
    text: `lea r15, [rel done]
      mov ecx, [r14 + 8]
      mov eax, [r14 + 12]
      mov edx, [r14 + 16]
      wrmsr
    done:`,
  },
  rdmsr: {
    hex: '4c8d3d0e000000418b4e080f324189461441895618',
    text: `lea r15, [rel done]
      mov ecx, [r14 + 8]
      rdmsr
      mov [r14 + 20], eax
      mov [r14 + 24], edx
    done:`,
  },
  writeCr8: { hex: '418b460c440f22c0', text: 'mov eax, [r14 + 12]\nmov cr8, rax' },
  readCr8: { hex: '440f20c041894614', text: 'mov rax, cr8\nmov [r14 + 20], eax' },
  sti: { hex: 'fb90', text: 'sti\nnop' },
  cli: { hex: 'fa', text: 'cli' },
  hlt: { hex: 'f4', text: 'hlt' },
  nop: { hex: '90', text: 'nop' },
  cpuid: { hex: '31c00fa2', text: 'xor eax, eax\ncpuid' },
} as const;

/** On the stack: vector, (error code,) rip, cs, rflags. A #GP goes on at R15. */
const handler = {
  hex: `5051528b442418418b4e2083e13f4189448e4041ff462083f802743e83f80d744283f820724b41837e1c00742db91b0000
        000f32f6c4087421f6c40475112500f0ffffc780b000000000000000eb0b31c031d2b90b0800000f305a59584883c40848
        cf4c897c24285a59584883c41048cfe611ebfc`,
  text: `
    push rax
    push rcx
    push rdx
    mov eax, [rsp + 24]
    mov ecx, [r14 + 32]
    and ecx, 63
    mov [r14 + rcx*4 + 64], eax
    inc dword [r14 + 32]
    cmp eax, 2
    je return
    cmp eax, 13
    je protection
    cmp eax, 32
    jb fault
    cmp dword [r14 + 28], 0
    je return
    mov ecx, 0x1b
    rdmsr
    test ah, 8
    jz return
    test ah, 4
    jnz x2apic
    and eax, 0xfffff000
    mov dword [rax + 0xb0], 0
    jmp return
  x2apic:
    xor eax, eax
    xor edx, edx
    mov ecx, 0x80b
    wrmsr
  return:
    pop rdx
    pop rcx
    pop rax
    add rsp, 8
    iretq
  protection:
    mov [rsp + 40], r15
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq
  fault:
    out 0x11, al
    jmp fault`,
};

/** What the guest is made of, for the test that assembles it. */
export const residentCode = { ...ready, handler };

export type Routine = keyof typeof ready;

const GDT = 0x1000;
const TABLES = 0x2000;
const STUBS = TABLES + PAGE_TABLES_SIZE;
const STUB = 16;
const HANDLER = STUBS + 256 * STUB;
const ROUTINES = HANDLER + PAGE_SIZE;
const ROUTINE = 64;
const IDT = ROUTINES + PAGE_SIZE;
/** A page for its box, and one for its stack. */
const BOXES = IDT + PAGE_SIZE;
const AREA = 2 * PAGE_SIZE;

export const memorySize = (vcpus: number) => BOXES + vcpus * AREA;
export const boxOf = (vcpu: number) => BOXES + vcpu * AREA;
const names = Object.keys(ready) as Routine[];
export const addressOf = (routine: Routine) => ROUTINES + names.indexOf(routine) * ROUTINE;

const bytesOf = (hex: string) => Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');

/** `jmp near` from behind the bytes at `from` to `to`. */
function jump(bytes: Uint8Array, from: number, to: number): Uint8Array {
  const code = Buffer.alloc(bytes.length + 5);
  code.set(bytes);
  code[bytes.length] = 0xe9;
  code.writeInt32LE(to - (from + code.length), bytes.length + 1);
  return code;
}

/** Puts all of it into a guest's memory. */
export function loadGuest(memory: GuestMemory): void {
  memory.write(GDT, gdtBytes());
  memory.write(TABLES, identityTables(TABLES));
  for (let vector = 0; vector < 256; vector++) {
    const at = STUBS + vector * STUB;
    const push = Buffer.from([0x68, 0, 0, 0, 0]);
    push.writeInt32LE(vector, 1);
    memory.write(at, jump(push, at, HANDLER));
  }
  memory.write(HANDLER, bytesOf(handler.hex));
  for (const name of names)
    memory.write(addressOf(name), jump(bytesOf(ready[name].hex), addressOf(name), addressOf('ask')));
  memory.write(
    IDT,
    idt64((vector) => STUBS + vector * STUB),
  );
}

const CR0 = 1n | (1n << 4n) | (1n << 31n);
const PAE = 1n << 5n;
const LONG = (1n << 8n) | (1n << 10n);

/** System registers of a vCPU that runs it. */
export function systemRegisters() {
  const data = dataSegment();
  return {
    gdt: { base: BigInt(GDT), limit: GDT_SIZE - 1 },
    idt: { base: BigInt(IDT), limit: idtLimits.long64 },
    ...{ cs: codeSegment(64), ds: data, es: data, fs: data, gs: data, ss: data },
    ...{ cr0: CR0, cr3: BigInt(TABLES), cr4: PAE, efer: LONG },
  };
}

/** Bytes of its `out`. */
const OUT = 2;

/** General registers of one that has asked what to do. RFLAGS.IF is 0. */
export function generalRegisters(vcpu: number) {
  return { rip: BigInt(addressOf('ask') + OUT), rsp: BigInt(boxOf(vcpu) + AREA), r14: BigInt(boxOf(vcpu)), rflags: 2n };
}
