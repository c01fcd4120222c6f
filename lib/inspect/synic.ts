/** Hyper-V's SynIC, of mainline KVM: its numbers, and what the kernel says to each. */
import { EVENT_FLAGS, hvMessage, hypervMsrs, SINTS, SYNIC_SLOT } from '../abi/hyperv.ts';
import {
  exitReasons,
  KVM_EXIT_HYPERV_HCALL,
  KVM_EXIT_HYPERV_SYNDBG,
  KVM_EXIT_HYPERV_SYNIC,
} from '../abi/kvm/exit-reason.ts';
import { KVM_IRQ_ROUTING_HV_SINT, kvmIrqRoutingEntry, kvmIrqRoutingHvSint } from '../abi/kvm/index.ts';
import { ioctls } from '../abi/kvm/ioctl.ts';
import { RUN_UNION_OFFSET } from '../abi/kvm/kvm-run.ts';
import { UnsupportedError } from '../base/errors.ts';
import { HYPERV_BODY_OFFSET, runHypervHcall, runHypervSyndbg, runHypervSynic } from '../exit/hyperv.ts';
import { describeExit } from '../exit/text.ts';
import { mov32, wrmsr } from '../guest/bytes.ts';
import { Synic } from '../hyperv/synic.ts';
import { hypervCpuid } from '../kvm/cpuid.ts';
import { MsrRefusedError } from '../kvm/vcpu/errors.ts';
import { runTinyGuest, withTinyVm } from '../probe/tiny-vm.ts';
import { type AskedKvm, answerOf, capabilityEntry } from './asked-kvm.ts';
import { type AbiEntry, type AbiSection, LAYOUT, layoutOf } from './section.ts';

const UAPI = 'include/uapi/linux/kvm.h';
const TLFS = 'Hyper-V TLFS; include/hyperv/hvgdk_mini.h';
const BODY = RUN_UNION_OFFSET + HYPERV_BODY_OFFSET;

const capabilities = [
  'KVM_CAP_HYPERV',
  'KVM_CAP_HYPERV_SYNIC',
  'KVM_CAP_HYPERV_SYNIC2',
  'KVM_CAP_HYPERV_VP_INDEX',
  'KVM_CAP_HYPERV_EVENTFD',
  'KVM_CAP_HYPERV_SEND_IPI',
  'KVM_CAP_HYPERV_CPUID',
  'KVM_CAP_SYS_HYPERV_CPUID',
  'KVM_CAP_HYPERV_ENFORCE_CPUID',
] as const;

const exitOfType = (
  name: string,
  type: number,
  layout: Parameters<typeof layoutOf>[0],
  ask: AbiEntry['ask'],
): AbiEntry => ({
  kind: 'exit',
  name,
  number: exitReasons.KVM_EXIT_HYPERV,
  source: `${UAPI}: struct kvm_hyperv_exit`,
  note: `KVM_EXIT_HYPERV with type ${type}, u32 at @${RUN_UNION_OFFSET}`,
  ...layoutOf(layout, BODY),
  ask,
});

/** Hyper-V's synthetic interrupt controller, of mainline. */
export function synicSection(): AbiSection {
  return {
    name: 'synic',
    title: "Hyper-V's SynIC (CONFIG_KVM_HYPERV)",
    architecture: 'x64',
    entries: [
      ...capabilities.map(capabilityEntry),
      {
        kind: 'ioctl',
        name: 'KVM_HYPERV_EVENTFD',
        number: ioctls.KVM_HYPERV_EVENTFD,
        source: UAPI,
        ask: 'it takes a file descriptor; KVM_CAP_HYPERV_EVENTFD answers for it',
      },
      {
        kind: 'route',
        name: 'KVM_IRQ_ROUTING_HV_SINT',
        number: KVM_IRQ_ROUTING_HV_SINT,
        source: `${UAPI}: struct kvm_irq_routing_hv_sint`,
        note: 'type of struct kvm_irq_routing_entry; offsets in that; vcpu is a VP index',
        ...layoutOf(kvmIrqRoutingHvSint, kvmIrqRoutingEntry.fields.u.offset),
        ask: askRoute,
      },
      exitOfType('KVM_EXIT_HYPERV_SYNIC', KVM_EXIT_HYPERV_SYNIC, runHypervSynic, askExit),
      exitOfType('KVM_EXIT_HYPERV_HCALL', KVM_EXIT_HYPERV_HCALL, runHypervHcall, "a guest's hypercall makes it"),
      exitOfType(
        'KVM_EXIT_HYPERV_SYNDBG',
        KVM_EXIT_HYPERV_SYNDBG,
        runHypervSyndbg,
        'a guest with a synthetic debugger makes it',
      ),
      ...Object.entries(hypervMsrs).map(
        ([name, number]): AbiEntry => ({
          kind: 'msr',
          name: `HV_X64_MSR_${name}`,
          number,
          source: TLFS,
          ...(name === 'SINT0' ? { note: `and on to SINT15, 0x${(number + SINTS - 1).toString(16)}` } : {}),
          ask: (asked) => askMsr(asked, number),
        }),
      ),
      {
        kind: 'layout',
        name: 'struct hv_message',
        number: null,
        source: TLFS,
        note: `a SINT's slot; the message page has ${SINTS} of them`,
        ...layoutOf(hvMessage),
        ask: LAYOUT,
      },
      {
        kind: 'layout',
        name: 'union hv_synic_event_flags',
        number: null,
        source: TLFS,
        note: `a SINT's ${EVENT_FLAGS} flags; the event flags page has ${SINTS} of them`,
        size: SYNIC_SLOT,
        ask: LAYOUT,
      },
    ],
  };
}

/** A route to SINT 0 of a vCPU without SynIC leads nowhere, and a kernel that knows the type takes it. */
function askRoute(asked: AskedKvm): string {
  const vm = asked.vm();
  const answer = answerOf(() => vm.setGsiRouting([{ type: 'hvSint', gsi: 0, vcpu: 0, sint: 0 }]));
  return answer === '0' ? 'taken: KVM_SET_GSI_ROUTING answers 0' : `refused: KVM_SET_GSI_ROUTING answers ${answer}`;
}

function askMsr(asked: AskedKvm, index: number): string {
  const vcpu = asked.vm().vcpus.get(0)!;
  try {
    return `KVM_GET_MSRS reads 0x${vcpu.getMsr(index).toString(16)}`;
  } catch (error) {
    if (error instanceof MsrRefusedError) return 'KVM_GET_MSRS does not read it';
    throw error;
  }
}

/** A guest writes SCONTROL and leaves. */
function askExit({ kvm }: AskedKvm): string {
  if (kvm.checkExtension('KVM_CAP_HYPERV_SYNIC2') === 0) return 'not made: it has no KVM_CAP_HYPERV_SYNIC2';
  const cpuid = hypervCpuid(kvm.supportedCpuid(), kvm.supportedHvCpuid());
  return withTinyVm(kvm, { pages: 2, cpuid }, (vm, vcpu, memory) => {
    Synic.enable(vm, vcpu);
    const write = [mov32('ecx', hypervMsrs.SCONTROL), mov32('eax', 1), mov32('edx', 0), wrmsr];
    const exit = runTinyGuest(vcpu, memory, write);
    if (exit.name === 'KVM_EXIT_HYPERV') return 'made: a guest wrote SCONTROL';
    if (exit.name === 'KVM_EXIT_IO') return 'not made: a guest wrote SCONTROL, and nothing came out';
    throw new UnsupportedError(describeExit(exit), 'A guest that writes SCONTROL');
  });
}
