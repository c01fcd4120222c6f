/** Writes docs/suite.md: `npm run docs:suite`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Check, shortfallsOf } from '../lib/suite/check.ts';
import { subjects } from '../lib/suite/subjects/index.ts';
import { leftOut as leftOutOfStates, standRows } from '../lib/suite/subjects/injection/states/machines.ts';
import { traits } from '../lib/suite/subjects/injection/states/traits.ts';
import { axes, leftOut } from '../lib/suite/subjects/matrix/index.ts';
import { root } from '../test/support/command.ts';

export const suiteDocument = join(root, 'docs/suite.md');

/** docs/suite.md as it has to be. */
export function suiteText(): string {
  const count = subjects.reduce((sum, { checks }) => sum + checks.length, 0);
  const sections = subjects.flatMap(({ name, title, checks }) => [
    `## ${name}`,
    '',
    `${title[0]!.toUpperCase()}${title.slice(1)}.`,
    '',
    '| check | claim | source | needs | known shortfall |',
    '|---|---|---|---|---|',
    ...checks.map(row),
    '',
  ]);
  return [intro(count), ...sections, ...stateList(), ...replayList()].join('\n');
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
    '## The state that matrix varies',
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
    '## The states that injection replays in',
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

\`kvm-dsm test\` finds out whether a kernel's forwarding of ICR writes is right: ${count} checks, each with one claim and the
source of the claim. What a version of the series is known to do wrong belongs to its profile: a kernel is judged by what
\`--profile\` says of it. This page is made from the code by \`npm run docs:suite\`.

Each check runs on machines of its own, in a process apart, within a deadline. Its verdict is one of these:

- **pass**: the claim holds, and the check proved that its guest ran.
- **fail**: it does not hold, or it took too long, or its process or the kernel crashed.
- **skip**: what the check needs is not there; the report says what.
- **xfail**: it does not hold, and that is a known shortfall of the profile. \`--strict\` makes it a fail.
- **xpass**: a shortfall was expected, and the claim holds.

The command ends with 0 if no check failed, 1 if one did, 2 for a wrong command line, 3 if there is no usable KVM, 4 if every
check was skipped.

\`\`\`sh
npx kvm-dsm test --list
npx kvm-dsm test capability --on svm
npx kvm-dsm test payload.icr2 --on vmx --reporter ktap
\`\`\`

\`--kernel <bzImage>\` boots another kernel in the lab. \`--reporter\` is \`spec\`, \`ktap\` (KTAP 1), \`tap\` (TAP 13, which \`prove\` reads), \`tap14\`,
\`junit\` or \`json\`.
\`--seed\` makes the random choices the same again, \`--shuffle\` takes the checks in an order that it decides, \`--repeat\` runs
them several times, \`--bail\` stops at the first failure. With \`--thorough\` checks that draw or count try many times as much
(the subjects \`matrix\` and \`long\`), and each may take twenty times as long: give \`--timeout\` as well. \`--checks <file>\` runs the checks of a script that exports
\`subjects\` in place of the suite's.

Ctrl-C and SIGTERM end a run with what there is of it, also before its machine is up: checks that have ended have their results, the others none. One line says
what it was at and how many had a result: in KTAP and TAP behind "Bail out!", in JUnit as the error of a test case \`run\`, in JSON as \`interrupted\`
(\`{ why, notRun }\`, else \`null\`). The exit codes are 130 and 143. A second one, half a second later or more, ends it at once.

\`--quiet\` prints only the checks that failed, and the totals; it is for the report \`spec\`, since programs read the others.

In the lab several machines share the checks if there are many: as many as this host has CPUs for, where a vmx machine takes one and an svm
machine three, and at most 8; \`--machines <n>\` says how many. The report is in the order of the checks all the same. \`--bail\` and \`--timings\` take one.

In the lab \`--variant <name>\` tells the kernel to do without something, as older and other machines do, and the report has a
row for each variant that is named; \`--variant all\` is the lane as it is (\`default\`) and every variant that it has. The ids of the
checks stay, and a row says in its head what the kernel was told. vmx has \`no-unrestricted-guest\`, \`no-flexpriority\`,
\`no-ept\` and \`no-vector-hashing\`, svm \`no-npt\` and \`no-vector-hashing\`; APICv is on in every row where the emulator has it.
KTAP has a test per row, JUnit a test suite per row and subject, TAP the row's name before that of each point, and JSON \`variants\`, a
document each, beside \`totals\` of all. \`--timeout\` and \`--bail\` count for each row; the command ends with 1 if a check failed
in any.

\`\`\`sh
npx kvm-dsm test once.nodes --on svm --variant default --variant no-vector-hashing
\`\`\`

A check that crashes the lab's kernel fails by its name, and the machine is booted again for the others. On a host the
kernel cannot be replaced: the report says that what follows is not to be trusted. What is known to crash a kernel
(\`injection.crash.*\`) runs in the lab alone, and only with \`--destructive\`.
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(suiteDocument, suiteText());
