/** The faults that the lab's kernel can be given: kernel/arch/x86/kvm/dsm_fault.c. */

export interface Fault {
  /** What to write to the parameter. */
  readonly name: string;
  /** The same as a number; 0 is none. */
  readonly number: number;
  /** What the kernel does wrong. */
  readonly what: string;
  /** The checks whose claims it breaks: ids, or globs of them. Under it, no other check may say anything else. */
  readonly breaks: readonly string[];
}

/**
 * The parameter of a kernel with CONFIG_KVM_DSM_FAULT. Takes a name or a number; `none` or 0 is the series as it is. Reads
 * as every name in the order of the numbers, the chosen one in brackets. To be written while no VM is there.
 */
export const FAULT_PARAMETER = '/sys/module/kvm/parameters/dsm_fault';

/** That each write comes out, and once: all of `once` but what local APICs do. */
const ONCE = [
  'once.first',
  'once.one.*',
  'once.burst.*',
  'once.same.*',
  'once.loop',
  'once.single-step',
  'once.resume.*',
  'once.both.pushad',
  'once.both.rep-*',
  'once.both.again',
  'once.within.*',
  'once.interrupted.*',
  'once.finished.*',
  'once.pending.*',
  'once.kicks.*',
  'once.race.*',
  'once.storm.*',
];

/** What val2 says. */
const VALUES = [
  'payload.icr.vector',
  'payload.icr.delivery-mode.*',
  'payload.icr.destination-mode',
  'payload.icr.level',
  'payload.icr.trigger',
  'payload.icr.shorthand.*',
  'payload.icr.fields',
  'payload.icr.reserved',
  'payload.icr.delivery-status',
  'payload.icr2.value',
  'payload.icr2.reserved',
  'state.pending.value',
];

/** Claims about the exits of plain writes of vCPU 0, on the full irqchip. */
const PLAIN = ['payload.*', 'order.*', ...ONCE, 'state.*', 'bypass.instruction.*'];

/** Without exits none of these holds. */
const EXITS = [
  ...PLAIN,
  'source.id.*',
  'source.every-vcpu',
  'modes.*.forwards',
  'modes.base.one-vcpu',
  'transparency.exit.*',
  'capability.forwarding.*',
];

/** That an IPI is delivered in this kernel. */
const DELIVERY = [
  'stock.*',
  'transparency.delivery.*',
  'transparency.tpr.*',
  'transparency.eoi.*',
  'once.delivery.*',
  'once.both.delivered',
  'modes.*.delivers',
  'modes.software-disabled.sends',
  'modes.software-disabled.takes-nmi',
  'modes.hardware-disabled.refuses',
  'source.delivery.*',
];

export const faults: readonly Fault[] = [
  {
    name: 'drop-nth',
    number: 1,
    what: "every seventh of a vCPU's ICR and ICR2 writes makes no exit",
    breaks: ['payload.*', 'order.*', ...ONCE],
  },
  {
    name: 'duplicate',
    number: 2,
    what: 'KVM_RUN returns twice for each write',
    breaks: [...ONCE, 'bypass.instruction.*', 'state.resume.reset', 'state.resume.restored'],
  },
  {
    name: 'swap-values',
    number: 3,
    what: 'val holds the value written and val2 the register',
    breaks: ['payload.val.register', ...VALUES],
  },
  {
    name: 'masked-value',
    number: 4,
    what: 'val2 is read back from the register, without its reserved and busy bits',
    breaks: ['payload.icr.delivery-status', 'payload.icr2.reserved'],
  },
  {
    name: 'stale-dest-id',
    number: 5,
    what: "an ICR2 write's dest_id is of the ICR2 before it",
    breaks: ['payload.icr2.destination'],
  },
  {
    name: 'unshifted-dest-id',
    number: 6,
    what: 'dest_id is the whole of ICR2, not its bits 31:24',
    breaks: [
      'payload.icr2.destination',
      'payload.icr2.destination.only',
      'payload.icr.dest-id',
      'payload.icr.dest-id.kept',
    ],
  },
  { name: 'id-index', number: 7, what: "id is the vCPU's index, not its vcpu_id", breaks: ['source.id.*'] },
  {
    name: 'id-target',
    number: 8,
    what: 'id is of the destination, not of the vCPU that wrote',
    breaks: ['payload.icr2.id', 'payload.icr.id', 'source.id.*'],
  },
  {
    name: 'before-write',
    number: 9,
    what: 'the exit comes before the local APIC has acted, which it does on resume',
    breaks: ['transparency.exit.written', 'transparency.exit.delivered'],
  },
  {
    name: 'skip-local',
    number: 10,
    what: 'an ICR write delivers nothing in this kernel',
    breaks: [...DELIVERY, 'transparency.exit.delivered', 'injection.ipi.*'],
  },
  {
    name: 'deliver-twice',
    number: 11,
    what: "an ICR write's IPI is delivered once more on resume",
    breaks: [
      'stock.nmi.*',
      'transparency.delivery.*',
      'once.delivery.*',
      'modes.software-disabled.takes-nmi',
      'injection.ipi.*',
    ],
  },
  {
    name: 'forward-eoi-tpr',
    number: 12,
    what: 'writes of EOI and TPR make the exit too',
    breaks: ['transparency.no-exit.eoi', 'transparency.no-exit.tpr'],
  },
  {
    name: 'forward-above',
    number: 13,
    what: 'writes of every register from ICR upwards make the exit',
    breaks: [
      'transparency.no-exit.above-icr2',
      'transparency.no-exit.rest-of-page',
      'transparency.no-exit.lvt',
      'transparency.no-exit.timer',
    ],
  },
  {
    name: 'forget-icr2',
    number: 14,
    what: 'ICR2 writes make no exit',
    breaks: [
      'payload.val.register',
      'payload.icr2.*',
      'payload.instruction.*',
      'order.*',
      ...ONCE,
      'state.*',
      'source.id.icr2',
      'bypass.instruction.*',
    ],
  },
  {
    name: 'forget-icr',
    number: 15,
    what: 'ICR writes make no exit',
    breaks: ['payload.val.register', 'payload.icr.*', 'order.*', ...ONCE, 'source.id.icr'],
  },
  {
    name: 'lose-on-signal',
    number: 16,
    what: 'a signal that is pending, or that ends KVM_RUN, drops the exit',
    breaks: [
      'once.interrupted.signal',
      'once.finished.signal.*',
      'once.kicks.*',
      'once.storm.*',
      'order.signal',
      'state.pending.signal',
    ],
  },
  {
    name: 'lose-on-immediate-exit',
    number: 17,
    what: 'a KVM_RUN with immediate_exit set drops the exit',
    breaks: [
      'once.interrupted.immediate-exit',
      'once.finished.immediate-exit.*',
      'once.pending.*',
      'once.kicks.*',
      'once.race.*',
      'once.storm.*',
      'order.immediate-exit',
      'state.pending.immediate-exit',
    ],
  },
  {
    name: 'lose-on-race',
    number: 18,
    what: "one slot for all vCPUs: another vCPU's write drops the exit",
    breaks: ['once.race.*', 'once.storm.*', 'order.two-vcpus.threads'],
  },
  {
    name: 'report-again',
    number: 19,
    what: 'the exit comes again on the resume from the exit that follows it',
    breaks: ['once.resume.*', 'once.storm.ports', 'once.single-step', 'once.both.again', 'order.single-step'],
  },
  { name: 'wrong-exit', number: 20, what: 'exit_reason is 44, KVM_EXIT_DAPIC', breaks: [...EXITS, 'exits.dapic.icr'] },
  {
    name: 'rip-behind',
    number: 21,
    what: 'RIP is at the instruction that wrote until the vCPU is resumed',
    breaks: ['transparency.exit.rip'],
  },
  {
    name: 'clobber-rdx',
    number: 22,
    what: 'RDX holds the value written after the exit',
    breaks: ['transparency.write.*'],
  },
  {
    name: 'leak-kvm-run',
    number: 23,
    what: "the payload is in the next vCPU's kvm_run as well",
    breaks: ['state.kvm-run.other-*', 'once.storm.*', 'order.two-vcpus.threads', 'stock.sipi.runs'],
  },
  {
    name: 'only-split',
    number: 24,
    what: 'no exit unless the irqchip is split',
    breaks: [...PLAIN, 'modes.irqchip.full.forwards', 'capability.forwarding.*'],
  },
  {
    name: 'only-vcpu0',
    number: 25,
    what: 'no exit unless vcpu_id is 0',
    breaks: ['source.every-vcpu', 'once.race.*', 'once.storm.*', 'order.two-vcpus.*', 'capability.forwarding.vcpus'],
  },
  {
    name: 'lose-first',
    number: 26,
    what: "no exit for a vCPU's first write",
    breaks: ['once.first', 'state.*', 'bypass.instruction.*'],
  },
  {
    name: 'report-reads',
    number: 27,
    what: 'reads of ICR and ICR2 make the exit too',
    breaks: ['transparency.no-exit.read-icr'],
  },
  {
    name: 'any-width',
    number: 28,
    what: 'writes within ICR and ICR2 of the wrong size or alignment make the exit too',
    breaks: [
      'transparency.no-exit.byte',
      'transparency.no-exit.word',
      'transparency.no-exit.unaligned',
      'transparency.no-exit.quadword',
      'bypass.width.*.not-forwarded',
    ],
  },
  { name: 'late', number: 29, what: 'the exit waits for the next KVM_RUN', breaks: EXITS },
  {
    name: 'only-default-base',
    number: 30,
    what: 'no exit unless the APIC base is 0xfee00000',
    breaks: ['modes.base.moved-*.forwards'],
  },
  {
    name: 'only-enabled',
    number: 31,
    what: 'no exit unless the local APIC is enabled by software',
    breaks: ['modes.software-disabled.forwards'],
  },
  {
    name: 'only-fixed',
    number: 32,
    what: 'ICR writes of another delivery mode than fixed make no exit',
    breaks: ['payload.icr.delivery-mode.*', 'payload.icr.fields'],
  },
  {
    name: 'no-shorthand',
    number: 33,
    what: 'ICR writes with a shorthand make no exit',
    breaks: ['payload.icr.shorthand.*'],
  },
  {
    name: 'only-absent',
    number: 34,
    what: 'ICR writes with a destination in this VM make no exit',
    breaks: ['payload.icr.destination.*', 'payload.icr.shorthand.*', 'payload.icr.dest-id'],
  },
  {
    name: 'replay-unsent',
    number: 35,
    what: 'KVM_DSM_IPI stores an ICR write and sends no IPI',
    breaks: ['injection.ipi.*', 'bypass.host.replay'],
  },
  {
    name: 'replay-vcpu0',
    number: 36,
    what: 'the injection ioctls act on vCPU 0, whatever vcpu_id says',
    breaks: ['injection.*'],
  },
  {
    name: 'replay-low-half',
    number: 37,
    what: 'KVM_DSM_X2APIC loses the upper half of data, the destination',
    breaks: ['injection.x2apic.*'],
  },
  {
    name: 'replay-base-as-guest',
    number: 38,
    what: 'KVM_DSM_APIC_BASE takes host for false',
    breaks: ['injection.base.host'],
  },
  {
    name: 'dapic-index',
    number: 39,
    what: "exit 44 tells the register's number instead of its offset",
    breaks: ['exits.dapic.*'],
  },
  {
    name: 'x2-icr-low-half',
    number: 40,
    what: 'exit 46 tells the lower half of the ICR alone',
    breaks: ['exits.x2-icr.*'],
  },
  {
    name: 'apic-base-index',
    number: 41,
    what: 'exit 47 tells MSR 0 instead of 0x1b',
    breaks: ['exits.apic-base.*'],
  },
  {
    name: 'sint-vp0',
    number: 42,
    what: 'a SINT goes to VP index 0, whatever its route says',
    breaks: ['synic.sint.delivers'],
  },
  {
    name: 'sint-unheard',
    number: 43,
    what: "nobody is told of a SINT's EOI or EOM",
    breaks: ['synic.acknowledge.*', 'synic.message.*'],
  },
  {
    name: 'vlpi-answers',
    number: 44,
    what: "arm64's KVM_DISABLE_VCPU_VLPI is answered, and drops what is pending at the vCPU",
    breaks: [
      'vlpi.answer.disable',
      'vlpi.state',
      'vlpi.pending.irr',
      'vlpi.pending.many',
      'vlpi.pending.line',
      'vlpi.pending.taken',
      'vlpi.pending.between',
    ],
  },
  {
    name: 'forward-signaled',
    number: 45,
    what: "KVM's VFIO device changes the forwarding of an IRQ that VFIO signals",
    breaks: ['vfio.busy.*'],
  },
  {
    name: 'forward-incomplete',
    number: 46,
    what: "a guest's EOI does not complete a forwarded IRQ",
    breaks: ['vfio.completion.forwarded'],
  },
];
