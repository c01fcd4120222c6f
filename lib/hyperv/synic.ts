/** Hyper-V's SynIC from the host's side: what a hypervisor does with the pages that a guest gives it. */
import {
  decodeMessage,
  decodeSint,
  decodeSynicPage,
  EVENT_FLAGS,
  encodeMessage,
  HVMSG_NONE,
  hypervMsrs,
  MESSAGE_PENDING,
  type ReceivedMessage,
  SINTS,
  type Sint,
  SYNIC_ENABLE,
  SYNIC_SLOT,
  type SynicMessage,
} from '../abi/hyperv.ts';
import { checkChoice, checkInstance, checkInteger, checkObject } from '../base/check.ts';
import { EINVAL } from '../base/errno.ts';
import { ArgumentError, UnsupportedError } from '../base/errors.ts';
import type { Exit } from '../exit/exit.ts';
import { NoIrqchipError } from '../kvm/errors.ts';
import { PAGE_SIZE } from '../kvm/guest-memory.ts';
import { Vcpu } from '../kvm/vcpu/vcpu.ts';
import { isUsualSlot } from '../kvm/vm/memory.ts';
import { Vm } from '../kvm/vm/vm.ts';

/** What becomes of a page when the guest enables it: `zero` is KVM_CAP_HYPERV_SYNIC, `keep` is KVM_CAP_HYPERV_SYNIC2. */
export type SynicPages = 'zero' | 'keep';

const caps = { zero: 'KVM_CAP_HYPERV_SYNIC', keep: 'KVM_CAP_HYPERV_SYNIC2' } as const;

/** The capability for these pages. Throws UnsupportedError that names it and CONFIG_KVM_HYPERV if the kernel lacks it. */
export function synicCapability(vm: Vm, pages: SynicPages): (typeof caps)[SynicPages] {
  const cap = caps[checkChoice('pages', pages, ['zero', 'keep'] as const)];
  if (vm.checkExtension(cap) === 0) throw new UnsupportedError(cap, "Hyper-V's SynIC", 'CONFIG_KVM_HYPERV');
  return cap;
}

/** True once its SynIC was enabled. */
export function hasSynic({ enabledCaps }: Pick<Vcpu, 'enabledCaps'>): boolean {
  return enabledCaps.some(({ cap }) => cap === caps.zero || cap === caps.keep);
}

/** `posted`: signal its SINT; `busy`: post it again after the end-of-message notice; `disabled`: there is no page. */
export type Posted = 'posted' | 'busy' | 'disabled';

/** `set`: signal its SINT; `already`: the guest has not seen it yet, and gets no second interrupt. */
export type Flagged = 'set' | 'already' | 'disabled';

/** A vCPU's SynIC registers. */
export interface SynicRegisters {
  /** SCONTROL bit 0. */
  enabled: boolean;
  /** SVERSION. */
  version: bigint;
  /** Guest physical address of the message page (SIMP); `null` if it is disabled. */
  messagePage: bigint | null;
  /** Guest physical address of the event flags page (SIEFP); `null` if it is disabled. */
  eventPage: bigint | null;
  /** SINT0 to SINT15. */
  sints: Required<Sint>[];
}

/** Words of a message slot, 32 bits each: the type; then size, flags and reserved bytes. */
const TYPE = 0;
const FLAGS = 1;
const PENDING_BIT = MESSAGE_PENDING << 8;

/**
 * A vCPU's SynIC. KVM has its registers and delivers its SINTs. Messages and event flags are user space's to write,
 * and SCONTROL, SIEFP and SIMP are user space's to obey: each write of the guest comes out as KVM_EXIT_HYPERV.
 */
export class Synic {
  /** Whose SynIC it is. */
  readonly vcpu: Vcpu;
  /** HV_X64_MSR_VP_INDEX: what GSI routes name the vCPU by. KVM counts vCPUs in the order of their making. */
  readonly vpIndex: number;
  readonly #vm: Vm;
  #enabled = true;
  #messagePage: bigint | null = null;
  #eventPage: bigint | null = null;

  private constructor(vm: Vm, vcpu: Vcpu, vpIndex: number) {
    this.#vm = vm;
    this.vcpu = vcpu;
    this.vpIndex = vpIndex;
  }

  /**
   * KVM_ENABLE_CAP with KVM_CAP_HYPERV_SYNIC or KVM_CAP_HYPERV_SYNIC2. The guest reaches it if its CPUID shows Hyper-V's
   * interface (`hypervCpuid`). KVM starts with SCONTROL enabled, both pages disabled and every SINT masked.
   *
   * @throws UnsupportedError that names the capability and CONFIG_KVM_HYPERV; NoIrqchipError without in-kernel local APIC
   */
  static enable(vm: Vm, vcpu: Vcpu, pages: SynicPages = 'keep'): Synic {
    checkInstance('vm', vm, Vm);
    checkInstance('vcpu', vcpu, Vcpu);
    const cap = synicCapability(vm, pages);
    if (vm.irqchip === 'none') throw new NoIrqchipError('KVM_ENABLE_CAP', EINVAL);
    vcpu.enableCap(cap);
    return Synic.of(vm, vcpu);
  }

  /** The SynIC of a vCPU that has one already: of a restored VM, such as `restoreMachineState` makes. */
  static of(vm: Vm, vcpu: Vcpu): Synic {
    checkInstance('vm', vm, Vm);
    checkInstance('vcpu', vcpu, Vcpu);
    if (!hasSynic(vcpu))
      throw new ArgumentError('vcpu', `vCPU ${vcpu.vcpuId} has no SynIC`, 'Give it one: Synic.enable().');
    const synic = new Synic(vm, vcpu, Number(vcpu.getMsr(hypervMsrs.VP_INDEX)));
    synic.registers();
    return synic;
  }

  /** SCONTROL bit 0, as it was when `registers` or `see` looked last. KVM delivers SINTs without asking for it. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** Guest physical address of the message page, as of the last look; `null` if it is disabled. */
  get messagePage(): bigint | null {
    return this.#messagePage;
  }

  /** Guest physical address of the event flags page, as of the last look; `null` if it is disabled. */
  get eventPage(): bigint | null {
    return this.#eventPage;
  }

  /** KVM_GET_MSRS of all of them: a look at what there is now. Throws VcpuBusyError while the vCPU is in the guest. */
  registers(): SynicRegisters {
    const { SCONTROL, SVERSION, SIMP, SIEFP, SINT0 } = hypervMsrs;
    const sints = Array.from({ length: SINTS }, (_, sint) => SINT0 + sint);
    const [control, version, simp, siefp, ...values] = this.vcpu.getMsrs([SCONTROL, SVERSION, SIMP, SIEFP, ...sints]);
    this.#look(control!, simp!, siefp!);
    return {
      enabled: this.#enabled,
      version: version!,
      messagePage: this.#messagePage,
      eventPage: this.#eventPage,
      sints: values.map(decodeSint),
    };
  }

  /** A look by an exit of this vCPU: it is KVM_EXIT_HYPERV of type 1 if the guest wrote SCONTROL, SIEFP or SIMP. */
  see(exit: Exit): boolean {
    if (exit.name !== 'KVM_EXIT_HYPERV' || exit.synic === null) return false;
    const { control, msgPage, evtPage } = exit.synic;
    this.#look(control, msgPage, evtPage);
    return true;
  }

  #look(control: bigint, simp: bigint, siefp: bigint): void {
    this.#enabled = (control & SYNIC_ENABLE) !== 0n;
    this.#messagePage = decodeSynicPage(simp);
    this.#eventPage = decodeSynicPage(siefp);
  }

  /**
   * Puts a message into a SINT's slot. If the slot has one, its pending flag is set: the guest writes EOM when it has
   * read that one, which is the notice to post again (`SintLine`). No message is lost and none comes twice, whatever the
   * guest does meanwhile: if the slot becomes free while the flag is set, the message is posted at once.
   *
   * @param sint 0 to 15
   * @returns `posted`; `busy`; `disabled` if SCONTROL or SIMP is off, or the page is no memory
   * @throws ArgumentError
   */
  postMessage(sint: number, message: SynicMessage): Posted {
    checkSint(sint);
    const bytes = encodeMessage(message);
    const slot = this.#words(this.#messagePage, sint);
    if (slot === null) return 'disabled';
    if (Atomics.load(slot, TYPE) !== HVMSG_NONE) {
      // First the flag, then the look: the guest frees the slot first and looks at the flag then. One of both sees it.
      Atomics.or(slot, FLAGS, PENDING_BIT);
      if (Atomics.load(slot, TYPE) !== HVMSG_NONE) return 'busy';
    }
    const words = new Uint32Array(bytes.buffer);
    for (let at = FLAGS; at < words.length; at++) slot[at] = words[at]!;
    // Last: with it the guest may read all of the message.
    Atomics.store(slot, TYPE, words[TYPE]!);
    return 'posted';
  }

  /** The message in a SINT's slot; `null` if it is free, or there is no page. It stays there. */
  message(sint: number): ReceivedMessage | null {
    const slot = this.#words(this.#messagePage, checkSint(sint));
    return slot && decodeMessage(new Uint8Array(slot.buffer, slot.byteOffset, SYNIC_SLOT).slice());
  }

  /**
   * Sets an event flag of a SINT.
   *
   * @param sint 0 to 15
   * @param flag 0 to 2047
   * @returns `set`; `already`; `disabled` if SCONTROL or SIEFP is off, or the page is no memory
   * @throws ArgumentError
   */
  setEventFlag(sint: number, flag: number): Flagged {
    checkSint(sint);
    checkInteger('flag', flag, 0, EVENT_FLAGS - 1);
    const words = this.#words(this.#eventPage, sint);
    if (words === null) return 'disabled';
    const bit = 1 << (flag % 32);
    return (Atomics.or(words, flag >> 5, bit) & bit) === 0 ? 'set' : 'already';
  }

  /** The event flags of a SINT that are set, ascending. */
  eventFlags(sint: number): number[] {
    const words = this.#words(this.#eventPage, checkSint(sint));
    const flags: number[] = [];
    for (let flag = 0; words && flag < EVENT_FLAGS; flag++)
      if (Atomics.load(words, flag >> 5) & (1 << (flag % 32))) flags.push(flag);
    return flags;
  }

  /** A SINT's part of a page, live. */
  #words(page: bigint | null, sint: number): Uint32Array<ArrayBuffer> | null {
    if (!this.#enabled || page === null) return null;
    for (const { guestPhysAddr, memory, offset, size } of [...this.#vm.slots.values()].filter(isUsualSlot)) {
      const at = page - guestPhysAddr;
      if (at < 0n || at + BigInt(PAGE_SIZE) > BigInt(size)) continue;
      const { buffer } = memory.bytes;
      return new Uint32Array(buffer, offset + Number(at) + sint * SYNIC_SLOT, SYNIC_SLOT / 4);
    }
    return null;
  }
}

function checkSint(sint: number): number {
  return checkInteger('sint', sint, 0, SINTS - 1);
}

/** Throws ArgumentError if it is none. */
export function checkSynic(synic: Synic): Synic {
  checkObject('synic', synic);
  if (!(synic instanceof Synic))
    throw new ArgumentError('synic', 'synic is no Synic of this package', 'Make it with Synic.enable().');
  return synic;
}
