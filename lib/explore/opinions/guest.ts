/**
 * The guest of the opinions: a ROM that a bare machine and a KVM both begin at the reset vector. It does each history's operations, tells
 * after each what it sees of the local APIC, resets itself by an INIT, and goes on with the next history.
 */
import { APIC_DEFAULT_PHYS_BASE, lapicRegisters } from '../../abi/apic/lapic.ts';
import { IA32_APIC_BASE, registerMsr } from '../../abi/apic/msr.ts';
import type { GuestOperation, Operation } from '../../apic/model/operations.ts';
import { asm } from '../../guest/asm/index.ts';
import { CODE32, CODE64, DATA, GDT_SIZE, gdtBytes } from '../../guest/gdt.ts';
import { idt64, idtLimits } from '../../guest/idt.ts';
import { PAGE_TABLES_SIZE } from '../../guest/layout.ts';
import { identityTables } from '../../guest/page-tables.ts';
import { LAST_LINE, ROM_SIZE, TEXT, TEXT_PORT, TEXT_READY } from './machine.ts';

/** What a guest can do of what histories are made of, and how its handlers end, which is its own to say. */
export type OwnOperation = GuestOperation | Extract<Operation, { do: 'handlers' }>;

/** A history of one vCPU, all of it in one mode of the local APIC. */
export interface OwnHistory {
  /** Which of the seed's. */
  number: number;
  mode: 'xapic' | 'x2apic';
  operations: readonly OwnOperation[];
}

/** In the order of the guest's table. */
const routines = [
  ...(['end', 'begin', 'write', 'read', 'wrmsr', 'rdmsr', 'writeCr8', 'readCr8'] as const),
  ...(['sti', 'cli', 'nop', 'handlers'] as const),
];

const ROM = 2 ** 32 - ROM_SIZE;
const GLOBALS = 0x7000;
const BOX = 0x8000;
/** From here on RAM is as the ROM's beginning. */
const LOW = 0x1_0000;
const IDT = LOW + PAGE_TABLES_SIZE;
const STUBS = IDT + 0x1000;
const STUB = 16;
const GDT = STUBS + 256 * STUB;
const CODE = GDT + 0x40;
const RESET = 0xff00;
const BYTES_OF_RECORD = 16;

/** Numbers of the registers that are told; those that a read changes, or whose value runs, are not among them. */
const words = (first: number) => Array.from({ length: 8 }, (_, at) => (first >> 4) + at);
const { ISR0, TMR0, IRR0 } = lapicRegisters;
const inBoth = [
  ...(['ID', 'VERSION', 'TPR', 'PPR', 'LDR', 'SVR', 'ESR', 'ICR', 'LVT_TIMER', 'LVT_THERMAL', 'LVT_PMC'] as const),
  ...(['LVT_LINT0', 'LVT_LINT1', 'LVT_ERROR', 'TMICT', 'TDCR'] as const),
].map((name) => lapicRegisters[name] >> 4);
const told = {
  x2apic: [...inBoth, ...words(ISR0), ...words(TMR0), ...words(IRR0)],
  xapic: [...inBoth, ...words(ISR0), ...words(TMR0), ...words(IRR0), lapicRegisters.DFR >> 4, lapicRegisters.ICR2 >> 4],
};

/** Registers that a machine in a mode tells of. */
export const toldRegisters: Readonly<Record<OwnHistory['mode'], readonly number[]>> = told;

const PAGE = APIC_DEFAULT_PHYS_BASE;
const ID = PAGE + lapicRegisters.ID;
const ICR = PAGE + lapicRegisters.ICR;
const ICR2 = PAGE + lapicRegisters.ICR2;
/** INIT, asserted. */
const INIT = 0x4500;

/** R12: where the text goes on. R13: the record. R14: the box. R15: where a fault goes on. */
const code = (records: number) => asm.flat32`
  org ${CODE}
  phase   equ ${GLOBALS + 4}
  cursor  equ ${GLOBALS + 8}
  console equ ${GLOBALS + 12}
  behind  equ ${GLOBALS + 16}
  handled equ 0
  wide    equ 4
  low     equ 8
  high    equ 12
  eoi     equ 16
  vectors equ 64
  before  equ 256

  to_long:
    mov eax, 1 << 5
    mov cr4, eax
    mov eax, ${LOW}
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 1 << 8
    wrmsr
    mov eax, 0x80000011
    mov cr0, eax
    jmp ${CODE64}:main

  bits 64
  main:
    lidt [idtr]
    mov r14d, ${BOX}
    lea rsp, [r14 + 0x1000]
    mov r15d, lost
    mov r12d, ${TEXT}
    mov al, 0xff
    out 0x21, al
    out 0xa1, al
    cmp dword [phase], 2
    je astray
    cmp dword [phase], 0
    jne next
    mov dword [cursor], ${records}
    in al, ${TEXT_PORT}
    cmp al, ${TEXT_READY}
    sete [console]
    mov dx, 0x3fb
    mov al, 0x80
    out dx, al
    mov dx, 0x3f8
    mov al, 1
    out dx, al
    inc edx
    xor eax, eax
    out dx, al
    mov dx, 0x3fb
    mov al, 3
    out dx, al
    mov dx, 0x3fa
    mov al, 7
    out dx, al
    jmp reset

  ; an INIT that was not asked for has reset it: that is told, and the next history is tried
  astray:
    mov r12d, [behind]
    mov al, 'X'
    call put
    mov al, 10
    call put
    jmp skip

  next:
    mov r13d, [cursor]
    movzx eax, byte [r13]
    cmp eax, 1
    ja perform
    cmp dword [phase], 2
    je reset
    mov dword [phase], 2
    mov edi, r14d
    xor eax, eax
    mov ecx, ${0x800 / 4}
    rep stosd
    mov dword [r14 + eoi], 1
    cmp byte [r13], 0
    je finish
    add dword [cursor], ${BYTES_OF_RECORD}
    mov al, 'H'
    call put
    mov eax, [r13 + 4]
    call hex8
    cmp dword [r13 + 8], 0
    je seen
    mov eax, 1
    cpuid
    bt ecx, 21
    jc x2apic
    mov al, '-'
    call put
    mov al, 10
    call put
  skip:
    mov r13d, [cursor]
    cmp byte [r13], 1
    jbe next
    add dword [cursor], ${BYTES_OF_RECORD}
    jmp skip
  x2apic:
    mov ecx, ${IA32_APIC_BASE}
    rdmsr
    or ah, 4
    wrmsr
    jmp seen

  perform:
    add dword [cursor], ${BYTES_OF_RECORD}
    mov dword [r14 + wide], 0
    mov r15d, done
    mov rbx, [routines + rax*8]
    mov ecx, [r13 + 4]
    mov eax, [r13 + 8]
    mov edx, [r13 + 12]
    jmp rbx
  write:
    mov [rcx], eax
    jmp done
  read:
    mov eax, [rcx]
    jmp answer
  wrmsr_:
    wrmsr
    jmp done
  rdmsr_:
    rdmsr
    mov [r14 + high], edx
    mov [r14 + low], eax
    mov dword [r14 + wide], 2
    jmp done
  writeCr8:
    mov cr8, rax
    jmp done
  readCr8:
    mov rax, cr8
  answer:
    mov [r14 + low], eax
    mov dword [r14 + wide], 1
    jmp done
  sti_:
    sti
    jmp done
  cli_:
    cli
    jmp done
  handlers:
    mov [r14 + eoi], eax
  done:
    ; what is pending comes now: an emulator may look for it between blocks of code alone
    mov r15d, lost
    mov ecx, 16
  .settle:
    pause
    dec ecx
    jnz .settle
  seen:
    call look
    jmp next

  look:
    xor ebx, ebx
  .vectors:
    cmp ebx, [r14 + handled]
    jae .result
    mov al, 'h'
    call put
    mov al, [r14 + rbx + vectors]
    call hex2
    inc ebx
    jmp .vectors
  .result:
    mov dword [r14 + handled], 0
    cmp dword [r14 + wide], 0
    je .registers
    mov al, '='
    call put
    mov eax, [r14 + low]
    call hex8
    cmp dword [r14 + wide], 1
    je .read
    mov al, ':'
    call put
    mov eax, [r14 + high]
    call hex8
  .read:
    mov dword [r14 + wide], 0
  .registers:
    mov ecx, ${IA32_APIC_BASE}
    rdmsr
    test ah, 4
    jnz .x2apic
    mov ebx, in_page
  .page:
    movzx ecx, byte [rbx]
    jecxz .over
    mov edx, ecx
    shl edx, 4
    add edx, ${PAGE}
    mov eax, [rdx]
    call tell
    inc ebx
    jmp .page
  .x2apic:
    mov ebx, in_msrs
  .msr:
    movzx ecx, byte [rbx]
    jecxz .over
    add ecx, ${registerMsr('ID') - (lapicRegisters.ID >> 4)}
    rdmsr
    push rdx
    call tell
    pop rax
    mov ecx, 0x31
    cmp byte [rbx], 0x30
    jne .low
    call tell
  .low:
    inc ebx
    jmp .msr
  .over:
    mov al, 10
    call put
    mov [behind], r12d
    ret

  ; EAX is what register CL holds
  tell:
    and ecx, 63
    cmp eax, [r14 + rcx*4 + before]
    je .same
    mov [r14 + rcx*4 + before], eax
    push rax
    mov al, 'r'
    call put
    mov al, cl
    call hex2
    pop rax
    call hex8
  .same:
    ret

  hex2:
    shl eax, 24
    mov ebp, 2
    jmp digits
  hex8:
    mov ebp, 8
  digits:
    rol eax, 4
    push rax
    and al, 15
    cmp al, 10
    jb .decimal
    add al, 'a' - '0' - 10
  .decimal:
    add al, '0'
    call put
    pop rax
    dec ebp
    jnz digits
    ret
  put:
    mov [r12], al
    inc r12
    ret

  flush:
    mov esi, ${TEXT}
    cmp byte [console], 0
    je .serial
    mov eax, r12d
    out ${TEXT_PORT}, eax
    mov r12d, esi
    ret
  .serial:
    cmp rsi, r12
    jae .done
    mov dx, 0x3fd
  .wait:
    in al, dx
    test al, 0x20
    jz .wait
    mov dx, 0x3f8
    lodsb
    out dx, al
    jmp .serial
  .done:
    mov r12d, ${TEXT}
    ret

  reset:
    cli
    mov dword [phase], 1
    call flush
    mov ecx, ${IA32_APIC_BASE}
    rdmsr
    test ah, 4
    jnz .x2apic
    ; the next history finds the id of the reset
    mov ebx, ${ID}
    mov dword [rbx], 0
    mov ebx, ${ICR2}
    mov dword [rbx], 0
    mov ebx, ${ICR}
    mov dword [rbx], ${INIT}
    jmp .sent
  .x2apic:
    mov ecx, ${registerMsr('ID')}
    rdmsr
    mov edx, eax
    mov eax, ${INIT}
    mov ecx, ${registerMsr('ICR')}
    wrmsr
  .sent:
    mov ecx, 1000000
  .wait:
    pause
    dec ecx
    jnz .wait
  lost:
    mov esi, lost_text
    jmp last
  finish:
    mov esi, end_text
  last:
    lodsb
    call put
    cmp al, 10
    jne last
    call flush
  .stop:
    cli
    hlt
    jmp .stop

  ; on the stack: vector, (error code,) rip, cs, rflags
  handler:
    push rax
    push rcx
    push rdx
    mov eax, [rsp + 24]
    mov ecx, [r14 + handled]
    and ecx, 63
    mov [r14 + rcx + vectors], al
    inc dword [r14 + handled]
    cmp eax, 2
    je .return
    cmp eax, 32
    jb .fault
    cmp dword [r14 + eoi], 0
    je .return
    mov ecx, ${IA32_APIC_BASE}
    rdmsr
    test ah, 4
    jnz .x2apic
    mov eax, ${PAGE + lapicRegisters.EOI}
    mov dword [rax], 0
    jmp .return
  .x2apic:
    xor eax, eax
    xor edx, edx
    mov ecx, ${registerMsr('EOI')}
    wrmsr
  .return:
    pop rdx
    pop rcx
    pop rax
    add rsp, 8
    iretq
  .fault:
    ; those with an error code: 8, 10 to 14, 17
    mov ecx, 0x27d00
    bt ecx, eax
    jnc .plain
    mov [rsp + 40], r15
    pop rdx
    pop rcx
    pop rax
    add rsp, 16
    iretq
  .plain:
    mov [rsp + 32], r15
    jmp .return

  align 8, db 0
  routines: dq finish, next, write, read, wrmsr_, rdmsr_, writeCr8, readCr8, sti_, cli_, done, handlers
  idtr: dw ${idtLimits.long64}
    dd ${IDT}, 0
  in_page: db ${told.xapic.join(', ')}, 0
  in_msrs: db ${told.x2apic.join(', ')}, 0
  lost_text: db 'lost', 10
  end_text: db '${LAST_LINE}', 10
`;

/** At the end of the last 64 KiB, of which CS has the base: real mode, and then the way into RAM. */
const resetCode = (bytes: number, enter: number) => asm.real16`
  org ${RESET}
  begin:
    cli
    cld
    o32 lgdt [cs:gdtr]
    mov eax, 0x11
    mov cr0, eax
    jmp dword ${CODE32}:(protected + 0xffff0000)
  gdtr: dw ${GDT_SIZE - 1}
    dd ${ROM + GDT - LOW}
  bits 32
  protected:
    mov eax, ${DATA}
    mov ds, eax
    mov es, eax
    mov ss, eax
    cmp dword [${GLOBALS}], 0x4e49504f
    je .again
    mov esi, ${ROM}
    mov edi, ${LOW}
    mov ecx, ${bytes / 4}
    rep movsd
    mov dword [${GLOBALS + 4}], 0
    mov dword [${GLOBALS}], 0x4e49504f
  .again:
    lgdt [${GDT + 0x30}]
    mov eax, ${enter}
    jmp eax
`;

/** The ROM that does all of them, one after the other. */
export function romOf(histories: readonly OwnHistory[]): Uint8Array {
  const rom = new Uint8Array(ROM_SIZE);
  const view = new DataView(rom.buffer);
  const first = code(0).bytes.length + CODE - LOW;
  const low = Math.ceil(first / 64) * 64;
  const resident = code(ROM + low);
  const put = (address: number, bytes: Uint8Array) => rom.set(bytes, address - LOW);
  put(LOW, identityTables(LOW));
  put(
    IDT,
    idt64((vector) => STUBS + vector * STUB),
  );
  const handler = Number(resident.label('handler'));
  for (let vector = 0; vector < 256; vector++) {
    const at = STUBS + vector * STUB;
    // push imm32; jmp near
    const stub = new DataView(rom.buffer, at - LOW, 10);
    stub.setUint8(0, 0x68);
    stub.setInt32(1, vector, true);
    stub.setUint8(5, 0xe9);
    stub.setInt32(6, handler - (at + 10), true);
  }
  put(GDT, gdtBytes());
  view.setUint16(GDT + 0x30 - LOW, GDT_SIZE - 1, true);
  view.setUint32(GDT + 0x32 - LOW, GDT, true);
  put(CODE, resident.bytes);
  let at = low;
  for (const record of recordsOf(histories)) {
    rom.set(record, at);
    at += BYTES_OF_RECORD;
  }
  const start = resetCode(low, Number(resident.label('to_long')));
  rom.set(start.bytes, ROM_SIZE - 0x1_0000 + RESET);
  // jmp near, from the reset vector
  view.setUint8(ROM_SIZE - 16, 0xe9);
  view.setInt16(ROM_SIZE - 15, RESET - 0xfff3, true);
  return rom;
}

/** How many bytes of a ROM histories may take. */
export const ROOM = ROM_SIZE - 0x1_2000;

/** Bytes of them. */
export const bytesOf = (histories: readonly OwnHistory[]): number =>
  histories.reduce((sum, { operations }) => sum + (operations.length + 1) * BYTES_OF_RECORD, BYTES_OF_RECORD);

function* recordsOf(histories: readonly OwnHistory[]): Generator<Uint8Array> {
  for (const [number, { mode, operations }] of histories.entries()) {
    yield record('begin', number, mode === 'x2apic' ? 1 : 0, 0);
    for (const operation of operations) yield recordOf(operation);
  }
  yield record('end', 0, 0, 0);
}

function record(routine: (typeof routines)[number], where: number, low: number, high: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(BYTES_OF_RECORD));
  view.setUint8(0, routines.indexOf(routine));
  view.setUint32(4, where, true);
  view.setUint32(8, low, true);
  view.setUint32(12, high, true);
  return new Uint8Array(view.buffer);
}

function recordOf(operation: OwnOperation): Uint8Array {
  switch (operation.do) {
    case 'write':
      return record('write', PAGE + lapicRegisters[operation.register], operation.value, 0);
    case 'read':
      return record('read', PAGE + lapicRegisters[operation.register], 0, 0);
    case 'wrmsr':
      return record('wrmsr', operation.msr, operation.low, operation.high);
    case 'rdmsr':
      return record('rdmsr', operation.msr, 0, 0);
    case 'writeCr8':
      return record('writeCr8', 0, operation.value, 0);
    case 'handlers':
      return record('handlers', 0, operation.eoi ? 1 : 0, 0);
    case 'hlt':
    case 'cpuid':
      throw new Error(`no machine's guest does ${operation.do}`);
    default:
      return record(operation.do, 0, 0, 0);
  }
}
