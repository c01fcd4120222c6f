/** Writes docs/findings.md, with what the lab says: `npm run docs:findings`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Check } from '../../lib/suite/check.ts';
import { select } from '../../lib/suite/plan.ts';
import { subjects } from '../../lib/suite/subjects/index.ts';
import { kvmDsm, root } from './command.ts';
import type { SuiteDocument } from './suite.ts';

export const findingsDocument = join(root, 'docs/findings.md');

/** A shortfall of the series, and the checks that show it. */
export interface Finding {
  title: string;
  /** How it comes about and what it costs. */
  text: string;
  /** Ids, or globs of them. The first one that a lane shows gives the output. */
  checks: readonly string[];
}

export const findings: readonly Finding[] = [];

/** Every check with a known shortfall. */
export function shortfalls(): Check[] {
  return subjects.flatMap(({ checks }) => checks).filter(({ shortfall }) => shortfall);
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
  const { stdout, stderr } = kvmDsm(['test', ...shortfalls().map(({ id }) => id), '--on', lane, '--json'], 900);
  if (stdout === '') throw new Error(stderr);
  const head = JSON.parse(stdout) as SuiteDocument;
  return { head, checks: new Map(head.checks.map((check) => [check.id, check])) };
}

/** From the line that says what failed on. */
function shown(id: string, lane: string): string {
  const args = ['test', id, '--on', lane, '--strict', '--seed', '1'];
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
      const where = at(id).length > 0 ? `seen on ${at(id).join(' and ')}` : `not seen: ${why}`;
      const { claim, source } = shortfalls().find((check) => check.id === id)!;
      return `- \`${id}\`: ${claim} (${source}). This does not hold: ${where}.`;
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
