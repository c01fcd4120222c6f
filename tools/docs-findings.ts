/** Writes docs/findings.md, with what the lab says: `npm run docs:findings`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defaultProfile } from '../lib/abi/dsm/profiles.ts';
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
  /** Ids, or globs of them. The first one that a lane shows gives the output. */
  checks: readonly string[];
}

export const findings: readonly Finding[] = [
  {
    title: 'IPIs of a guest in x2APIC mode are not forwarded',
    text: `
The hook of patch 2/3 is in \`apic_mmio_write()\`: it sees what a guest writes to the LAPIC's page. In x2APIC mode a guest
sends by WRMSR, which goes to \`kvm_x2apic_msr_write()\`. Such an IPI is delivered in this kernel and no exit is made: a
vCPU of another node never gets it. KVM_GET_SUPPORTED_CPUID has x2APIC, and guests that find it use it: hide it in CPUID.`,
    checks: ['bypass.x2apic*.forwarded'],
  },
  {
    title: 'IPIs by a paravirtual interface are not forwarded',
    text: `
A guest that finds KVM's or Hyper-V's paravirtual interface sends without a write to the LAPIC's page: by the hypercall
KVM_HC_SEND_IPI, by the MSR HV_X64_MSR_ICR, or by the hypercalls HvCallSendSyntheticClusterIpi (0x0b) and its Ex form
(0x15). None passes the hook. Such an IPI is delivered in this kernel alone. The Hyper-V hypercalls were tried on svm by
hand: no check of the suite makes them. User space has to keep these interfaces out of the guest's CPUID.`,
    checks: ['bypass.hyperv.forwarded', 'bypass.pv.forwarded'],
  },
  {
    title: 'With APICv no IPI is forwarded',
    text: `
With \`kvm_intel.enable_apicv=Y\` a write to the LAPIC's page is carried out by the processor: what KVM still does for
the ICR comes from \`handle_apic_write()\`, which does not pass the hook. A VM makes no exit at all then, unless something
inhibits APICv for it; a VMM has to see to that, as this package's \`machine()\` does.`,
    checks: ['bypass.apicv.forwarded'],
  },
  {
    title: 'A forward that is pending is lost when a vCPU is saved',
    text: `
The exit is made by the \`KVM_RUN\` behind the one that the write came in, if a signal or a single step ended that one.
Until then the payload is in the kernel alone: no \`KVM_GET_*\` has it, and a \`KVM_RUN\` with \`immediate_exit\`, by which
a VMM completes what is pending before it saves a vCPU, leaves it where it is. On the node that the vCPU is restored on
the exit never comes.`,
    checks: ['state.pending.restored'],
  },
  {
    title: 'Of two writes by one instruction only the second is forwarded',
    text: `
A vCPU has one slot for what is still to be told. One instruction can write ICR2 and ICR: PUSHAD, or MOVS and STOS with
REP. KVM emulates all of it before it looks at its requests, so that the second write takes the slot from the first. Of an
IPI that is sent so the node on the other side gets the command without its destination, or the destination alone. The
same happens if the instruction leaves for user space between its two writes. Here both writes take effect.

Two instructions can do the same where KVM emulates several in a row without a look at its requests: on Intel with
\`kvm_intel.unrestricted_guest=0\`, in real mode with segments of 4 GiB. Tried on vmx by hand: after MOV to ICR2, MOV to ICR
and OUT, the OUT comes first; after MOV to ICR2 and HLT, \`KVM_RUN\` blocks, and its exit comes when an NMI wakes the vCPU.`,
    checks: ['once.both.*'],
  },
  {
    title: 'The exit of a write can come behind a later access of the same instruction',
    text: `
If an instruction goes on behind its write with an access that user space answers, \`KVM_RUN\` returns with that access
from \`complete_userspace_io\`, before \`vcpu_enter_guest()\` looks at requests. User space answers the later access
before it knows of the write. Nothing is lost, as long as the instruction made one write only. That the later access may be
another instruction's stands above.`,
    checks: ['order.same-instruction'],
  },
  {
    title: 'An injection ioctl answers 0 for a write that it did not carry out',
    text: `
KVM_DSM_X2APIC and KVM_DSM_APIC_BASE of patch 3/3 ignore what the functions behind them return. A node that replays a write
is told that all is well, and the IPI is lost, or the two nodes disagree about the mode of a LAPIC from then on: for a vCPU in
the other mode, for reserved bits, for a base that the vCPU cannot take. \`vm.dsmX2apic\` and \`vm.dsmApicBase\` look first,
or read back.`,
    checks: ['injection.x2apic.xapic-mode', 'injection.x2apic.reserved-bits', 'injection.base.refusal-told'],
  },
  {
    title: 'A replayed x2APIC IPI to everyone is lost',
    text: `
KVM_DSM_X2APIC takes the path that KVM keeps for IPIs that its map of LAPICs resolves at once. A broadcast, and the
shorthands for all and for all others, are none; the path returns that it did nothing, and the ioctl answers 0. The same
IPI of a local guest falls back to the slow path and arrives.`,
    checks: ['injection.x2apic.broadcast', 'injection.x2apic.others'],
  },
  {
    title: 'The vcpu_id of an injection ioctl is an index, and not checked',
    text: `
The three ioctls look the vCPU up by \`kvm_get_vcpu()\`, which takes the number of a vCPU in the order of creation. A VMM
whose vCPUs were not made in the order of their ids writes to another one. A negative number ends at vCPU 0. (On the kernel
of the series itself -1 was seen to act on vCPU 0, and an id that is too high to be a NULL dereference, as this explains.)`,
    checks: ['injection.vcpu-id.*'],
  },
  {
    title: 'The injection ioctls can crash the kernel',
    text: `
Whoever may open /dev/kvm can take the kernel down: the vCPU that was not found, and the LAPIC that is not there, are used
all the same; an ICR write in x2APIC mode hits a WARN. These checks run only in the lab, with \`--destructive\`.`,
    checks: ['injection.crash.*'],
  },
];

/** Every check with a known shortfall of the series as it was posted. */
export function shortfalls(): Check[] {
  return subjects.flatMap(({ checks }) => checks).filter((check) => shortfallOf(check, defaultProfile.name));
}

/** The checks of a finding. */
export function checksOf({ checks }: Finding): string[] {
  return select(
    shortfalls().map(({ id }) => id),
    checks.map((pattern) => (/[*?]/.test(pattern) ? pattern : `${pattern}*`)),
  );
}

const lanes = ['svm', 'vmx'] as const;
type Seen = SuiteDocument['checks'][number];

/** What the checks with a shortfall come to on a lane. */
function seenOn(lane: string): { head: SuiteDocument; checks: Map<string, Seen> } {
  const { stdout, stderr } = kvmDsm(
    ['test', ...shortfalls().map(({ id }) => id), '--on', lane, '--destructive', '--json'],
    900,
  );
  if (stdout === '') throw new Error(stderr);
  const head = JSON.parse(stdout) as SuiteDocument;
  return { head, checks: new Map(head.checks.map((check) => [check.id, check])) };
}

/** From the line that says what failed on. */
function shown(id: string, lane: string): string {
  const destructive = shortfalls().find((check) => check.id === id)?.destructive ? ['--destructive'] : [];
  const args = ['test', id, '--on', lane, '--strict', '--seed', '1', ...destructive];
  const { stdout, stderr } = kvmDsm(args, 300);
  const at = stdout.indexOf('\nfailed\n');
  if (at < 0) throw new Error(`${id} does not fail on ${lane}: ${stdout}${stderr}`);
  return `\`\`\`console\n$ npx kvm-dsm ${args.join(' ')}\n...\n${stdout.slice(at + 1).trimEnd()}\n\`\`\`\n`;
}

function findingsText(): string {
  const seen = new Map(lanes.map((lane) => [lane, seenOn(lane)]));
  const at = (id: string) => lanes.filter((lane) => seen.get(lane)!.checks.get(id)?.verdict === 'xfail');
  const sections = findings.map((finding) => {
    const ids = checksOf(finding);
    const first = ids.find((id) => at(id).length > 0);
    const rows = ids.map((id) => {
      const why = seen.get('svm')!.checks.get(id)?.reason ?? 'not run';
      const where = at(id).length > 0 ? `This does not hold: seen on ${at(id).join(' and ')}` : `Not seen: ${why}`;
      const { claim, source } = shortfalls().find((check) => check.id === id)!;
      return `- \`${id}\`: ${claim} (${source}). ${where}.`;
    });
    const output = first ? shown(first, at(first)[0]!) : "The lab's kernel does not show it.\n";
    return `## ${finding.title}\n\n${finding.text.trim()}\n\n${rows.join('\n')}\n\n${output}`;
  });
  const kernels = lanes.map(
    (lane) => `- ${lane}: Linux ${seen.get(lane)!.head.kernel}, ${seen.get(lane)!.head.head.cpu}`,
  );
  return `${intro}\n${kernels.join('\n')}\n\n${sections.join('\n')}`;
}

const intro = `# Findings

What the conformance suite shows of the series "KVM: x86: DSM IRQ forwarding" (RFC v2), as it is. Each finding names its
checks and quotes one of them: the command, and the end of what it printed in the lab. The checks are expected to fail
(xfail), so that the suite passes on the series; \`--strict\` makes them failures. Once a kernel does better they are
reported as xpass.

This page is made by \`npm run docs:findings\`, which runs every check that has a known shortfall on both lanes:
`;

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(findingsDocument, findingsText());
