/** Writes docs/findings.md, with what the lab says: `npm run docs:findings`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import GithubSlugger from 'github-slugger';
import { defaultProfile, profiles } from '../lib/abi/dsm/profiles.ts';
import { type Check, shortfallOf } from '../lib/suite/check.ts';
import { select } from '../lib/suite/run/plan.ts';
import { subjects } from '../lib/suite/subjects/index.ts';
import { kvmDsm, root } from '../test/support/command.ts';
import type { SuiteDocument } from '../test/support/suite.ts';

export const findingsDocument = join(root, 'docs/findings.md');

/** A shortfall of the series, and the checks that show it. */
export interface Finding {
  title: string;
  /** How it comes about and what it costs. */
  text: string;
  /** The rules of the review checklist that it breaks, by their numbers. None: what is promised is not done, which no rule has to say. */
  rules: readonly (keyof typeof rules)[];
  /** Ids, or globs of them. The first one that a lane shows gives the output. */
  checks: readonly string[];
  /** What the kernel has to be told, and the lanes whose kernels it means anything to. Default: nothing, all. */
  variant?: { cmdline: string; lanes: readonly Lane[] };
  /** Whose kernels have it, where that is not the series as it was posted. */
  profile?: string;
}

/** Of Documentation/virt/kvm/review-checklist.rst: those that some finding breaks, in a few words. */
const rules = {
  3: 'a new API is documented in api.rst, and KVM_CHECK_EXTENSION tells of it',
  4: 'new state can be saved and restored',
  8: 'changes are vendor neutral when possible',
  12: 'features are robust against reset',
} as const;

/** What GiantVM's main branch has besides: its lab kernel is told to be one. */
const asGvmMain = {
  profile: 'gvm-main',
  variant: { cmdline: 'kvm.dsm_abi=gvm-main', lanes: ['svm'] },
} as const;

const gvmMainFindings: readonly Finding[] = [
  {
    ...asGvmMain,
    title: "What the injection ioctls of GiantVM's main branch answer means nothing",
    text: `
\`kvm_vm_ioctl_dsm()\` returns a variable that nothing sets: 0 where the compiler zeroes it (CONFIG_INIT_STACK_ALL_ZERO), and anything
else elsewhere. A VMM that takes it for an error ends, or replays the write again, and the IPI comes twice. The lab's kernel answers
numbers here that such a variable may hold. \`vm.dsmIpi\` and its like do not look at the answer with this profile.`,
    rules: [],
    checks: ['injection.answer.*'],
  },
  {
    ...asGvmMain,
    title: "KVM_DSM_APIC_BASE of GiantVM's main branch replays nothing",
    text: `
The ioctl hands the address of the value to \`kvm_apic_set_base()\` instead of the value. No vCPU takes such a base, and the refusal is
thrown away: the mode and the place of the replica's LAPIC stay as they were, and what is replayed after it goes elsewhere.`,
    rules: [],
    checks: ['injection.base.*', 'injection.twin.base', 'injection.twin.base.*', 'injection.states.base.*'],
  },
  {
    ...asGvmMain,
    title: "KVM_DSM_IPI of GiantVM's main branch is not what its documentation says",
    text: `
Documentation/virt/kvm/x86/dsm.rst calls \`val\` and \`val2\` the halves of the ICR. The code takes \`val\` for the offset of a register and
\`val2\` for its value, as the series does: a VMM that is written by the documentation sends nothing.`,
    rules: [3],
    checks: ['injection.documented.ipi'],
  },
  {
    profile: 'gvm-main',
    variant: { cmdline: 'kvm.dsm_abi=gvm-main-irq', lanes: ['svm'] },
    title: "The injection ioctls of GiantVM's main branch hang on the shared memory's option",
    text: `
The exits come with CONFIG_KVM_DSM_IRQ_FORWARD, and the ioctls that replay them with CONFIG_KVM_DSM: a kernel with the first one alone
forwards what nobody can replay.`,
    rules: [],
    checks: ['capability.injection.own-option'],
  },
  {
    ...asGvmMain,
    title: "GiantVM's main branch has a number for its capability, and does not answer to it",
    text: `
The documentation tells user space to ask for KVM_CAP_X86_DSM (249) before it uses the ioctls of the shared memory;
KVM_CHECK_EXTENSION has no case for it and answers 0 on a kernel that knows them all.`,
    rules: [3],
    checks: ['capability.shared-memory.told'],
  },
];

/** In the order of the page. */
export const findings: readonly Finding[] = [
  {
    title: 'IPIs of a guest in x2APIC mode are not forwarded',
    text: `
The hook of patch 2/3 is in \`apic_mmio_write()\`: it sees what a guest writes to the LAPIC's page. In x2APIC mode a guest
sends by WRMSR, which goes to \`kvm_x2apic_msr_write()\`. Such an IPI is delivered in this kernel and no exit is made: a
vCPU of another node never gets it. KVM_GET_SUPPORTED_CPUID has x2APIC, and guests that find it use it: hide it in CPUID.`,
    rules: [3],
    checks: ['bypass.x2apic*.forwarded'],
  },
  {
    title: 'IPIs by a paravirtual interface are not forwarded',
    text: `
A guest that finds KVM's or Hyper-V's paravirtual interface sends without a write to the LAPIC's page: by the hypercall
KVM_HC_SEND_IPI, by the MSR HV_X64_MSR_ICR, or by the hypercalls HvCallSendSyntheticClusterIpi (0x0b) and its Ex form
(0x15). None passes the hook. Nor does KVM_HC_KICK_CPU, by which the holder of a lock wakes a vCPU that waits for it in HLT.
All of these have their effect in this kernel alone: a vCPU of another node never gets the IPI, or sleeps on. User space has to
keep these interfaces out of the guest's CPUID.`,
    rules: [3],
    checks: ['bypass.hyperv*.forwarded', 'bypass.pv*.forwarded'],
  },
  {
    title: 'With APICv no IPI is forwarded',
    text: `
With \`kvm_intel.enable_apicv=Y\` a write to the LAPIC's page is carried out by the processor: what KVM still does for
the ICR comes from \`handle_apic_write()\`, which does not pass the hook. A VM makes no exit at all then, unless something
inhibits APICv for it; a VMM has to see to that, as this package's \`machine()\` does. Neither emulator of the lab has APICv: the check
is there for hosts that have it, and skips here.`,
    rules: [8],
    checks: ['bypass.apicv.forwarded'],
  },
  {
    title: 'A forward that is pending is lost when a vCPU is saved',
    text: `
The exit is made by the \`KVM_RUN\` after the one that the write came in, if a signal or a single step ended that one.
Until then the payload is in the kernel alone: no \`KVM_GET_*\` has it, and a \`KVM_RUN\` with \`immediate_exit\`, by which
a VMM completes what is pending before it saves a vCPU, leaves it where it is. On the node that the vCPU is restored on
the exit never comes.`,
    rules: [4],
    checks: ['state.pending.restored'],
  },
  {
    title: 'A pending exit is stuck while its vCPU is not runnable',
    text: `
The exit is made in \`vcpu_enter_guest()\`, which a vCPU that is not runnable does not come to: \`KVM_RUN\` blocks instead. That
is so after another vCPU's INIT, once KVM has taken it (which KVM_GET_MP_STATE makes it do), and after KVM_SET_MP_STATE has
halted the vCPU. The other nodes hear of the write when the vCPU runs again, if it ever does: after a SIPI, or an interrupt.
In the meantime what others send may overtake it.`,
    rules: [12],
    checks: ['state.pending.init', 'state.pending.halted'],
  },
  {
    title: 'Of two writes before the next look at requests only the last is forwarded',
    text: `
A vCPU has one slot for what is still to be told, and another write before it is told takes the slot. One instruction can
write ICR2 and ICR: PUSHAD, or MOVS and STOS with REP. KVM emulates all of it before it looks at its requests. Of an IPI
that is sent so the node on the other side gets the command without its destination, or the destination alone. The same
happens if the instruction leaves for user space between its two writes. Here both writes take effect.`,
    rules: [],
    checks: ['once.both.*'],
  },
  {
    title: 'Ordinary instructions lose a forward where KVM emulates several in a row',
    text: `
The slot is lost to two plain MOVs as well. A guest in a state that an Intel CPU without unrestricted guest cannot run (real
mode with segments of 4 GiB, as firmware and boot loaders use it) is emulated: \`handle_invalid_guest_state()\` carries out
up to 130 instructions without a look at KVM_REQ_DSM_IRQ_FORWARD. An IPI by MOV to ICR2 and MOV to ICR loses its
destination; of 32 writes in a row the last one alone comes out.`,
    rules: [],
    checks: ['once.stretch.*'],
    variant: { cmdline: 'kvm_intel.unrestricted_guest=0', lanes: ['vmx'] },
  },
  {
    title: 'The exit of a write can come after a later access of the same instruction',
    text: `
If an instruction goes on after its write with an access that user space answers, \`KVM_RUN\` returns with that access
from \`complete_userspace_io\`, before \`vcpu_enter_guest()\` looks at requests. User space answers the later access
before it knows of the write. Nothing is lost, as long as the instruction made one write only.`,
    rules: [],
    checks: ['order.same-instruction'],
  },
  {
    title: 'The exit of a write can come after a later instruction, and after a HLT',
    text: `
Where KVM emulates several instructions in a row, as above, what the next instruction asks of user space comes first: its OUT,
its IN, its access to an address without memory. After a MOV to ICR2 and a HLT \`KVM_RUN\` blocks in the HLT, and
the exit comes when something wakes the vCPU: an NMI in this check. A vCPU that sends an IPI and halts until it is answered
waits for ever, as the other node never gets the IPI.`,
    rules: [],
    checks: ['order.stretch.*'],
    variant: { cmdline: 'kvm_intel.unrestricted_guest=0', lanes: ['vmx'] },
  },
  {
    title: 'An IPI of lowest priority is taken once by each node',
    text: `
KVM delivers before it forwards, to one of the destinations that this node has; the node that replays the write picks among
those that it has, and delivers again. With \`kvm.vector_hashing=Y\`, the default, both pick the same one by the vector, and the IPI
is taken once (\`once.nodes.hashed.*\` hold). With N each node picks by what it knows of the priorities. Nothing that is told after
the delivery can mend this: user space would have to deliver, which the series does not offer.`,
    rules: [],
    checks: ['once.nodes.by-priority.*'],
    variant: { cmdline: 'kvm.vector_hashing=0', lanes: ['svm', 'vmx'] },
  },
  {
    title: 'Every VM of such a kernel makes the exits',
    text: `
There is no capability and no switch per VM: what the kernel was built with decides. A VMM that does not know exit 45 stops at
its guest's first IPI: QEMU, crosvm and KVM's own selftests, on any machine that boots such a kernel. What is new in the ABI
has to be asked for (KVM_ENABLE_CAP), as \`KVM_CAP_X86_USER_SPACE_MSR\` and others do. Profile fixed-v1 has an opt-in.`,
    rules: [3],
    checks: ['capability.opt-in'],
  },
  {
    title: 'An injection ioctl answers 0 for a write that it did not carry out',
    text: `
KVM_DSM_X2APIC and KVM_DSM_APIC_BASE of patch 3/3 ignore what the functions behind them return. A node that replays a write
is told that all is well, and the IPI is lost, or the two nodes disagree about the mode of a LAPIC from then on: for a vCPU in
the other mode, for reserved bits, for a base that the vCPU cannot take. An argument that cannot be read is answered by 0 as
well, and not by EFAULT: nothing was replayed. \`vm.dsmX2apic\` and \`vm.dsmApicBase\` look first,
or read back.`,
    rules: [],
    checks: [
      'injection.x2apic.xapic-mode',
      'injection.x2apic.reserved-bits',
      'injection.base.refusal-told',
      'injection.unreadable.*',
    ],
  },
  {
    title: 'A replayed x2APIC IPI to everyone is lost',
    text: `
KVM_DSM_X2APIC takes the path that KVM keeps for IPIs that its map of LAPICs resolves at once. A broadcast, and the
shorthands for all and for all others, are none; the path returns that it did nothing, and the ioctl answers 0. The same
IPI of a local guest falls back to the slow path and arrives.`,
    rules: [],
    checks: ['injection.x2apic.broadcast', 'injection.x2apic.others', 'injection.twin.x2.everyone'],
  },
  {
    title: 'A replay sends for a vCPU whose local APIC is off',
    text: `
KVM_DSM_IPI writes the registers of a local APIC that IA32_APIC_BASE has switched off, and the IPI goes out. The vCPU's own
guest has no such registers then: its write goes to user space, or nowhere. \`vm.dsmIpi\` refuses it.`,
    rules: [],
    checks: ['injection.twin.source-off'],
  },
  {
    title: "A replay in one VM changes another VM's VMCS",
    text: `
KVM_DSM_APIC_BASE calls \`kvm_apic_set_base()\` without \`vcpu_load()\`. On Intel a change of the LAPIC's mode ends in
\`vmx_set_virtual_apic_mode()\`, which writes the secondary execution controls of the vCPU that it was called for into whatever
VMCS is loaded on that CPU: that of the vCPU which was asked for something last, of another VM, of another process. The next
RDTSCP of that VM, which had just worked, raises #UD, since the VM of the replay has none in its CPUID. With APICv the
controls decide who handles a write of the ICR, and the other VM loses its next IPI (seen on a newer Bochs with the authors'
kernel; the lab's has no APICv). Whoever may open /dev/kvm can do that to every VM of the host. \`vm.dsmApicBase\` asks for the
vCPU's registers first, which loads its own VMCS; a process that moves to another CPU in between is not safe from it.`,
    rules: [],
    checks: ['injection.isolation.*'],
  },
  {
    title: 'The vcpu_id of an injection ioctl is an index, and not checked',
    text: `
The three ioctls look the vCPU up by \`kvm_get_vcpu()\`, which takes the number of a vCPU in the order of creation. A VMM
whose vCPUs were not made in the order of their ids writes to another one. A negative number ends at vCPU 0. (On the kernel
of the series itself -1 was seen to act on vCPU 0, and an id that is too high to be a NULL dereference, as this explains.)`,
    rules: [3],
    checks: ['injection.vcpu-id.*'],
  },
  {
    title: 'The injection ioctls can crash the kernel',
    text: `
Whoever may open /dev/kvm can take the kernel down: the vCPU that was not found, and the LAPIC that is not there, are used
all the same; an ICR write in x2APIC mode hits a WARN. These checks run only in the lab, with \`--destructive\`.`,
    rules: [],
    checks: ['injection.crash.*'],
  },
  ...gvmMainFindings,
];

/** Every check with a known shortfall of the series as it was posted; or of another profile, and not of the series as well. */
export function shortfalls(profile: string = defaultProfile.name): Check[] {
  const known = subjects.flatMap(({ checks }) => checks).filter((check) => shortfallOf(check, profile));
  return profile === defaultProfile.name ? known : known.filter((check) => !shortfallOf(check, defaultProfile.name));
}

/** The checks of a finding. */
export function checksOf({ checks, profile }: Finding): string[] {
  return select(
    shortfalls(profile).map(({ id }) => id),
    checks.map((pattern) => (/[*?]/.test(pattern) ? pattern : `${pattern}*`)),
  );
}

const lanes = ['svm', 'vmx'] as const;
type Lane = (typeof lanes)[number];
type Seen = SuiteDocument['checks'][number];

/** A lane, what its kernel is told beside what it always is, and what it is judged by. */
interface Place {
  lane: Lane;
  cmdline: string | undefined;
  profile: string | undefined;
}

const placesOf = ({ variant, profile }: Finding): Place[] =>
  (variant?.lanes ?? lanes).map((lane) => ({ lane, cmdline: variant?.cmdline, profile }));

const keyOf = ({ lane, cmdline }: Place) => (cmdline ? `${lane} with \`${cmdline}\`` : lane);

const argumentsOf = (ids: readonly string[], { lane, cmdline, profile }: Place): string[] => {
  const destructive = shortfalls(profile).some((check) => check.destructive && ids.includes(check.id));
  const more = [
    ...(profile ? ['--profile', profile] : []),
    ...(cmdline ? ['--cmdline', cmdline] : []),
    ...(destructive ? ['--destructive'] : []),
  ];
  return ['test', ...ids, '--on', lane, '--seed', '1', ...more];
};

/** What the checks of some findings come to at a place. */
function seenAt(place: Place, ids: readonly string[]): { head: SuiteDocument; checks: Map<string, Seen> } {
  const { stdout, stderr } = kvmDsm([...argumentsOf(ids, place), '--json'], 900);
  if (stdout === '') throw new Error(stderr);
  const head = JSON.parse(stdout) as SuiteDocument;
  return { head, checks: new Map(head.checks.map((check) => [check.id, check])) };
}

/** The command that shows it, and the failure as it is told. */
function shown({ id, claim, source, reason }: Seen, place: Place): string {
  // The first line is why that was to be expected.
  const [, failure, ...detail] = reason!.split('\n');
  const text = [id, `  claim: ${claim} (${source})`, `  ${failure}`, ...detail.map((line) => `    ${line}`)];
  const command = ['npx kvm-dsm', ...argumentsOf([id], place), '--strict'].join(' ');
  return `\`\`\`console\n$ ${command}\n...\nfailed\n${text.map((line) => `  ${line}`.trimEnd()).join('\n')}\n\`\`\`\n`;
}

/** By place, as `keyOf` names it. */
type AllSeen = ReadonlyMap<string, { head: SuiteDocument; checks: ReadonlyMap<string, Seen> }>;

/** A finding's part of the page. */
export function sectionOf(finding: Finding, seen: AllSeen): string {
  const verdict = (id: string, place: Place) => seen.get(keyOf(place))?.checks.get(id);
  const places = placesOf(finding);
  const at = (id: string) => places.filter((place) => verdict(id, place)?.verdict === 'xfail');
  const ids = checksOf(finding);
  const rows = ids.map((id) => {
    const where = at(id).map(keyOf).join(' and ');
    const why = verdict(id, places.at(-1)!)?.reason ?? 'not run';
    const { claim, source } = shortfalls(finding.profile).find((check) => check.id === id)!;
    return `- \`${id}\`: ${claim} (${source}). ${where ? `This does not hold: seen on ${where}` : `Not seen: ${why}`}.`;
  });
  const first = ids.find((id) => at(id).length > 0);
  const output = first
    ? shown(verdict(first, at(first)[0]!)!, at(first)[0]!)
    : `The lab's kernel does not show it: \`npx kvm-dsm ${argumentsOf(ids, places[0]!).join(' ')}\` skips.\n`;
  const on = [...new Set(ids.flatMap(at).map(keyOf))].join(', ') || 'no lane';
  const broken = finding.rules.map((rule) => `${rule} (${rules[rule]})`).join(', ') || NO_RULE;
  const facts = `Profile: ${profilesOf(finding)}. Seen on: ${on}. Rule of the review checklist: ${broken}.`;
  return `## ${finding.title}\n\n${finding.text.trim()}\n\n${facts}\n\n${rows.join('\n')}\n\n${output}`;
}

function findingsText(): string {
  const wanted = new Map<string, { place: Place; ids: string[] }>();
  for (const finding of findings)
    for (const place of placesOf(finding)) {
      const known = wanted.get(keyOf(place)) ?? { place, ids: [] };
      wanted.set(keyOf(place), { place, ids: [...known.ids, ...checksOf(finding)] });
    }
  const seen = new Map([...wanted].map(([key, { place, ids }]) => [key, seenAt(place, ids)]));
  const sections = findings.map((finding) => sectionOf(finding, seen));
  const kernels = [...seen].map(([key, { head }]) => `- ${key}: Linux ${head.kernel}, ${head.head.cpu}`);
  return `${intro()}\n${kernels.join('\n')}\n\n${sections.join('\n')}`;
}

/** The profile that it was seen with, and those whose kernels have the same code. */
export function profilesOf(finding: Finding): string {
  const { profile: own = defaultProfile.name } = finding;
  const ids = new Set(checksOf(finding));
  const checks = shortfalls(own).filter(({ id }) => ids.has(id));
  const too = [...profiles.keys()].filter((name) => name !== own && checks.every((check) => shortfallOf(check, name)));
  return too.length > 0 ? `${own}; known of ${too.join(', ')} as well` : own;
}

const NO_RULE = 'none by its words: the series does not do what it promises';

/** What stands before what was seen. */
export function intro(): string {
  const slugger = new GithubSlugger();
  const titles = findings.map(({ title }) => `- [${title}](#${slugger.slug(title)})`);
  return `# Findings

This page lists what is wrong with the series "KVM: x86: DSM IRQ forwarding" (RFC v2) and with GiantVM's main branch, as the conformance suite
shows it.

${titles.join('\n')}

Each finding explains how the fault comes about and what it costs. Then it says:

- which profiles' kernels have it, and on which lanes of the lab it was seen;
- which rule of the kernel's Documentation/virt/kvm/review-checklist.rst it breaks;
- its checks. One of them is quoted: the command, and what it printed in the lab. If a claim was not seen to fail, the page says so.

The suite expects these checks to fail (xfail), so that it passes on the series. \`--strict\` makes them failures. When a kernel does better, they
are reported as xpass.

This page is made by \`npm run docs:findings\`. It runs every check with a known shortfall where that can be seen:
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(findingsDocument, findingsText());
