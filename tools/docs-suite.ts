/** Writes docs/suite.md and a page for each subject, docs/suite/<subject>.md: `npm run docs:suite`. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Check, type Subject, shortfallsOf } from '../lib/suite/check.ts';
import { subjects } from '../lib/suite/subjects/index.ts';
import { leftOut as leftOutOfStates, standRows } from '../lib/suite/subjects/injection/states/machines.ts';
import { traits } from '../lib/suite/subjects/injection/states/traits.ts';
import { axes, leftOut } from '../lib/suite/subjects/matrix/index.ts';
import { root } from '../test/support/command.ts';

/** Where the pages of the subjects lie. */
const folder = 'docs/suite';

/** The pages as they have to be, by their paths below the root. */
export function suitePages(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/suite.md', `${intro(checkCount())}\n${overview()}`],
    ...subjects.map((subject): [string, string] => [`${folder}/${subject.name}.md`, subjectPage(subject)]),
    [`${folder}/matrix-states.md`, stateList().join('\n')],
    [`${folder}/injection-states.md`, replayList().join('\n')],
  ]);
}

/** The files that are there instead, by their paths below the root. */
export function suiteFiles(): string[] {
  return ['docs/suite.md', ...readdirSync(join(root, folder)).map((name) => `${folder}/${name}`)];
}

/** How many checks the suite has. */
export function checkCount(): number {
  return subjects.reduce((sum, { checks }) => sum + checks.length, 0);
}

const sentence = (words: string): string => `${words[0]!.toUpperCase()}${words.slice(1)}.`;

function overview(): string {
  const rows = subjects.map(
    ({ name, title, checks }) => `| [${name}](suite/${name}.md) | ${checks.length} | ${sentence(title)} |`,
  );
  return `## The subjects

| subject | checks | what they are about |
|---|---|---|
${rows.join('\n')}

Two subjects vary the state that a guest or a replay begins in: [the states of matrix](suite/matrix-states.md), [the states of
injection](suite/injection-states.md).
`;
}

/** More about a subject than its table. */
const further: Readonly<Record<string, string>> = {
  matrix: 'The rows that it varies: [matrix-states.md](matrix-states.md).',
  injection:
    'The states that it replays in: [injection-states.md](injection-states.md). The ioctls: [injection.md](../injection.md).',
};

function subjectPage({ name, title, checks }: Subject): string {
  const more = further[name];
  return `# ${name}

${sentence(title)} These are the checks of one subject of [the conformance suite](../suite.md).

\`\`\`
npx kvm-dsm test ${name} --on svm
\`\`\`
${more === undefined ? '' : `\n${more}\n`}
| check | claim | source | needs | known shortfall |
|---|---|---|---|---|
${checks.map(row).join('\n')}
`;
}

function row(check: Check): string {
  const { id, claim, source, needs = [] } = check;
  const known = shortfallsOf(check).map(
    ({ profiles = ['every profile'], reason }) => `${profiles.join(', ')}: ${reason}`,
  );
  const cells = [`\`${id}\``, claim, source, needs.map(({ name }) => name).join('; '), known.join('; ')];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

/** What the subject `matrix` varies, of its tables. */
function stateList(): string[] {
  const rows = axes.flatMap(({ name: axis, rows }) =>
    rows.map(({ name, what, source }) => `| \`${axis}.${name}\` | ${what} | ${source} |`),
  );
  return [
    '# The state that matrix varies',
    '',
    'A row is one piece of state; `matrix.drawn.*` puts rows of several axes together, as the seed says. On vmx, where a',
    'row takes a quarter of a second, a run plays a fifth of each axis; `--thorough` plays all.',
    '',
    'In three of four of them the vCPU first sends an IPI that the seed draws, of any mode, shorthand and destination that the scene can have,',
    'then what the row says. Another vCPU writes before each of these writes. At each exit everything of the vCPU that wrote is judged, and',
    'who has been sent to takes what it has got, and gets nothing more; on vmx at the exit of the last one alone.',
    '',
    '| row | state | source |',
    '|---|---|---|',
    ...rows,
    '',
    'Left out:',
    '',
    ...leftOut.map((line) => `- ${line}`),
    '',
  ];
}

/** What `injection.states` varies, of its tables. */
function replayList(): string[] {
  const rows = standRows.map(({ word, what, scenes, drawn }) => {
    const names = scenes.map((scene) => scene.map(({ name }) => name).join(' and '));
    return `| \`${word}\` | ${what} | ${names.join('; ')} | ${drawn} |`;
  });
  return [
    '# The states that injection replays in',
    '',
    '`injection.states.*` makes the same writes in each of them: in one VM a guest makes them, in its twin they are replayed,',
    'and after each all that KVM tells of the vCPU is compared, and at the end that of every vCPU. The writes of an ioctl set',
    'each bit of its value and name each kind of destination.',
    '',
    '| word | the VM | the states of its vCPUs | drawn |',
    '|---|---|---|---|',
    ...rows,
    '',
    'Drawn states are put together by the seed: each register of the local APIC of the one that is replayed on, and of each other',
    'one, has one of a few values or what it has after reset, whatever the other registers have, with vectors in service and pending,',
    'logical ids of each model, a moved page, a page for the TPR, and an mp_state. IPIs are drawn there, too. Each VM but that of',
    `\`lapic\` has half of these as well: ${traits.map(({ name }) => name).join(', ')}. The guest that makes a write itself is judged as a`,
    'whole too: its exit, kvm_run, registers. `injection.states.*.in-guest` replays on a vCPU that goes round a loop meanwhile.',
    '',
    'Left out:',
    '',
    ...leftOutOfStates.map((line) => `- ${line}`),
    '',
  ];
}

function intro(count: number): string {
  return `# The conformance suite

\`kvm-dsm test\` finds out whether a kernel forwards ICR writes correctly. It has ${count} checks. Each check makes one claim about the kernel, and says
where the claim comes from: a patch, Intel's manual, or KVM's documentation. This page and the pages of the subjects are made from the code by \`npm run docs:suite\`.

\`\`\`sh
npx kvm-dsm test --list
npx kvm-dsm test capability --on svm
npx kvm-dsm test payload.icr2 --on vmx --reporter ktap
\`\`\`

The words after \`test\` choose checks: parts of their names, or patterns with \`*\`. Without any, all checks run.

Ctrl-C and SIGTERM end a run with what there is of it, also before its machine is up: checks that have ended have their results, the others none. One line says
what it was at and how many had a result: in KTAP and TAP behind "Bail out!", in JUnit as the error of a test case \`run\`, in JSON as \`interrupted\`
(\`{ why, notRun }\`, else \`null\`). The exit codes are 130 and 143. A second one, half a second later or more, ends it at once.

\`--quiet\` prints only the checks that failed, and the totals; it is for the report \`spec\`, since programs read the others.

## Verdicts

Each check runs on machines of its own, in a process of its own, and has a deadline. Its verdict is one of these:

- **pass**: the claim holds, and the check proved that its guest ran.
- **fail**: the claim does not hold, or the check took too long, or its process or the kernel crashed.
- **skip**: something that the check needs is not there. The report says what.
- **xfail**: the claim does not hold, and this is known of the profile. \`--strict\` makes it a fail.
- **xpass**: the claim was expected not to hold, and it holds.

What a version of the series is known to do wrong belongs to its *profile*. A kernel is judged by the profile that \`--profile\` names. What
is known of RFC v2 is in [findings.md](findings.md).

The command ends with 0 if no check failed, 1 if one did, 2 for a wrong command line, 3 if there is no usable KVM, 4 if every
check was skipped.

## Options

| option | what it does |
|---|---|
| \`--kernel <bzImage>\` | boots another kernel in the lab |
| \`--reporter <name>\` | \`spec\`, \`ktap\`, \`tap\`, \`tap14\`, \`junit\`, \`kcidb\`, \`kunit-json\` or \`json\`: [reports.md](reports.md) |
| \`--seed <s>\` | makes the same random choices again |
| \`--shuffle\` | runs the checks in an order that the seed decides |
| \`--repeat <n>\` | runs the checks several times; without \`--timeout\` each round has its 20 minutes |
| \`--bail\` | stops at the first failure |
| \`--thorough\` | checks that draw or count try many times as much (the subjects \`matrix\` and \`long\`). Each may take twenty times as long |
| \`--checks <file>\` | runs checks of your own instead: a script that exports \`subjects\` ([howto/checks.md](howto/checks.md)) |
| \`--machines <n>\` | how many machines share the checks |
| \`--variant <name>\` | lets the lab's kernel do without something: below |
| \`--destructive\` | runs what is known to crash a kernel (\`injection.crash.*\`) as well, in the lab only |

**Several machines.** If there are many checks, several machines of the lab share them: as many as this host has CPUs for, where a vmx machine takes one CPU and an svm
machine three, and at most 8. The report is in the order of the checks all the same. With \`--bail\` or \`--timings\` there is one machine.

**Crashes.** If a check crashes the lab's kernel, that check fails, and the machine is booted again for the others. A host's
kernel cannot be replaced: there, the report says that nothing after the crash is to be trusted.

## Variants

Older and other machines lack features. In the lab, \`--variant <name>\` tells the kernel to do without one, and the report has a
row for each variant that you name. \`--variant all\` takes the lane as it is (\`default\`) and all its variants. The ids of the
checks stay the same, and the head of a row says what the kernel was told.

vmx has \`no-unrestricted-guest\`, \`no-flexpriority\`, \`no-ept\` and \`no-vector-hashing\`. svm has \`no-npt\` and \`no-vector-hashing\`. APICv is on in every row
where the emulator has it.

\`\`\`sh
npx kvm-dsm test once.nodes --on svm --variant default --variant no-vector-hashing
\`\`\`

KTAP has a test for each row, JUnit a test suite for each row and subject, TAP the row's name before each point, and JSON \`variants\`, one
document each, beside \`totals\` of all. \`--timeout\` and \`--bail\` count for each row. The command ends with 1 if a check failed
in any row.
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  rmSync(join(root, folder), { recursive: true, force: true });
  mkdirSync(join(root, folder));
  for (const [path, text] of suitePages()) writeFileSync(join(root, path), text);
}
