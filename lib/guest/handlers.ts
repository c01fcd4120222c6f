/**
 * The handlers that a machine puts behind every vector. An interrupt (and an NMI) is counted, gets its EOI, and the
 * program goes on. An exception is told to the host, with all that the CPU pushed, and the vCPU stops.
 *
 * Each vector has a stub that pushes an error code where the CPU pushed none, pushes the vector, and jumps on. The code
 * is the same wherever it lies: the counters are found one page behind the IDT that is loaded, and behind them a byte for
 * each vector. While a run waits for a vector that byte is 1, and the handler tells the host when its EOI is written.
 *
 * The machine code stands beside its text: loading the assembler costs time that a guest of ready-made bytes need not
 * pay. A test holds both sides equal.
 */

/** Vectors for which the CPU pushes an error code. Source: Intel SDM volume 3, "Exception and Interrupt Reference". */
export const vectorsWithErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
const NMI = 2;
const FIRST_INTERRUPT = 32;
const VECTORS = 256;

/** Machine code, and what it says. */
export interface ReadyCode {
  readonly mode: 'real16' | 'flat32' | 'long64';
  readonly hex: string;
  readonly text: string;
}

export const readyCode = {
  /** On the stack: vector, error code, eip, cs, eflags. What returns stands behind it. */
  countFlat32: {
    mode: 'flat32',
    hex: `5051525383ec080f010c248b5c24028b4c241883c408f0ff848b0010000083f902742db91b0000000f32f6c4087421f6c4
          0475112500f0ffffc780b000000000000000eb0b31c031d2b90b0800000f308b44241080bc0300140000007402e7e85b5a
          595883c408`,
    text: `
      push eax
      push ecx
      push edx
      push ebx
      sub esp, 8
      sidt [esp]
      mov ebx, [esp + 2]
      mov ecx, [esp + 24]
      add esp, 8
      lock inc dword [ebx + ecx*4 + 0x1000]
      cmp ecx, 2              ; an NMI has no EOI
      je .return
      mov ecx, 0x1b           ; IA32_APIC_BASE: where the APIC page is, and in which mode
      rdmsr
      test ah, 8
      jz .return
      test ah, 4
      jnz .x2apic
      and eax, 0xfffff000
      mov dword [eax + 0xb0], 0
      jmp .return
    .x2apic:
      xor eax, eax
      xor edx, edx
      mov ecx, 0x80b
      wrmsr
    .return:
      mov eax, [esp + 16]
      cmp byte [ebx + eax + 0x1400], 0
      je .back                ; nobody waits for it
      out 0xe8, eax
    .back:
      pop ebx
      pop edx
      pop ecx
      pop eax
      add esp, 8`,
  },
  returnFlat32: { mode: 'flat32', hex: 'cf', text: 'iretd' },
  /** KVM's emulator knows IRET in real mode alone: what is left of it where the guest is emulated. */
  returnEmulated: {
    mode: 'flat32',
    hex: 'ff7424089dca0400',
    text: `
      push dword [esp + 8]
      popfd
      retf 4`,
  },
  /** On the stack: vector, error code, rip, cs, rflags, rsp, ss. */
  countLong64: {
    mode: 'long64',
    hex: `505152534883ec100f010c24488b5c2402488b4c24304883c410f0ff848b0010000083f9027435b91b0000000f32f6c408
          7429f6c404751948c1e2204809d0482500f0ffffc780b000000000000000eb0b31c031d2b90b0800000f308b44242080bc
          0300140000007402e7e85b5a59584883c41048cf`,
    text: `
      push rax
      push rcx
      push rdx
      push rbx
      sub rsp, 16
      sidt [rsp]
      mov rbx, [rsp + 2]
      mov rcx, [rsp + 48]
      add rsp, 16
      lock inc dword [rbx + rcx*4 + 0x1000]
      cmp ecx, 2
      je .return
      mov ecx, 0x1b
      rdmsr
      test ah, 8
      jz .return
      test ah, 4
      jnz .x2apic
      shl rdx, 32
      or rax, rdx
      and rax, -4096
      mov dword [rax + 0xb0], 0
      jmp .return
    .x2apic:
      xor eax, eax
      xor edx, edx
      mov ecx, 0x80b
      wrmsr
    .return:
      mov eax, [rsp + 32]
      cmp byte [rbx + rax + 0x1400], 0
      je .back
      out 0xe8, eax
    .back:
      pop rbx
      pop rdx
      pop rcx
      pop rax
      add rsp, 16
      iretq`,
  },
  /** Leaves eax as it was on the stack, in the place of the vector. */
  faultFlat32: {
    mode: 'flat32',
    hex: '870424e7e0faf4ebfc',
    text: `
      xchg eax, [esp]
      out 0xe0, eax
    .stop:
      cli
      hlt
      jmp .stop`,
  },
  faultLong64: {
    mode: 'long64',
    hex: '48870424e7e0faf4ebfc',
    text: `
      xchg rax, [rsp]
      out 0xe0, eax
    .stop:
      cli
      hlt
      jmp .stop`,
  },
  faultReal16: {
    mode: 'real16',
    hex: '5589e58746025d66e7e0faf4ebfc',
    text: `
      push bp
      mov bp, sp
      xchg ax, [bp + 2]
      pop bp
      out 0xe0, eax
    .stop:
      cli
      hlt
      jmp .stop`,
  },
} as const satisfies Record<string, ReadyCode>;

/** True if the handler counts this vector and returns; every other one is a fault. Real mode counts none. */
export function isCounted(vector: number): boolean {
  return vector === NMI || vector >= FIRST_INTERRUPT;
}

const STUB = 12;
const COUNT = VECTORS * STUB;
const FAULT = COUNT + 0x100;
const REAL16_STUB = 6;
const REAL16_FAULT = VECTORS * REAL16_STUB;

/** Bytes from the handlers' begin to the stub of a vector. */
export function stubOffset(mode: ReadyCode['mode'], vector: number): number {
  return vector * (mode === 'real16' ? REAL16_STUB : STUB);
}

/** @param emulated whether this host's KVM runs 32-bit guests by its emulator */
export function flat32Handlers(emulated: boolean): Uint8Array {
  const back = emulated ? readyCode.returnEmulated : readyCode.returnFlat32;
  return protectedHandlers([readyCode.countFlat32, back], readyCode.faultFlat32);
}

export function long64Handlers(): Uint8Array {
  return protectedHandlers([readyCode.countLong64], readyCode.faultLong64);
}

/** The stubs read the same in 32-bit and in 64-bit code: `push 0`, `push vector`, `jmp`. */
function protectedHandlers(count: readonly ReadyCode[], fault: ReadyCode): Uint8Array {
  const code = new Uint8Array(FAULT + 0x100);
  const view = new DataView(code.buffer);
  for (let vector = 0; vector < VECTORS; vector++) {
    let at = vector * STUB;
    if (!vectorsWithErrorCode.has(vector)) {
      code.set([0x6a, 0x00], at);
      at += 2;
    }
    code[at] = 0x68;
    view.setUint32(at + 1, vector, true);
    code[at + 5] = 0xe9;
    view.setInt32(at + 6, (isCounted(vector) ? COUNT : FAULT) - (at + 10), true);
  }
  code.set(bytesOf(...count), COUNT);
  code.set(bytesOf(fault), FAULT);
  return code;
}

/** Real mode has no error codes: `push vector`, `jmp`. */
export function real16Handlers(): Uint8Array {
  const fault = bytesOf(readyCode.faultReal16);
  const code = new Uint8Array(REAL16_FAULT + fault.length);
  const view = new DataView(code.buffer);
  for (let vector = 0; vector < VECTORS; vector++) {
    const at = vector * REAL16_STUB;
    code[at] = 0x68;
    view.setUint16(at + 1, vector, true);
    code[at + 3] = 0xe9;
    view.setInt16(at + 4, REAL16_FAULT - (at + REAL16_STUB), true);
  }
  code.set(fault, REAL16_FAULT);
  return code;
}

function bytesOf(...codes: readonly ReadyCode[]): Uint8Array {
  return Buffer.from(codes.map(({ hex }) => hex.replace(/\s/g, '')).join(''), 'hex');
}
