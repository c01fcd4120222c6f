// Writes dist/kvm-dsm.1.gz, the manual page, from the program itself: part of `npm run build:lib`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { commandLine } from '../out/cli/program.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const exitCodes = [
  ['0', 'passed'],
  ['1', 'something failed'],
  ['2', 'the command line was wrong'],
  ['3', 'this environment cannot be used; the message says what to do'],
  ['4', 'everything was skipped'],
];
const environment = [
  ['XDG_CACHE_HOME', 'the folder of caches: the lab keeps its kernels and disks in kvm-dsm below it'],
  ['KVM_DSM_SEED', 'outside of kvm-dsm run: the seed of random in scripts'],
  [
    'KVM_DSM_LAB_SNAPSHOT',
    '1: the first command with --on svm saves the machine that it boots, and the next ones go on from it; 0: each boots; unset: the second saves it',
  ],
];

/** Text of a page: a hyphen is one that can be typed, and a line that begins with a dot is no request. */
const text = (words) =>
  words
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/, '\\&$1');
const quoted = (words) => `"${text(words).replaceAll('"', '\\(dq')}"`;
const entry = (term, words) => `.TP\n.B ${quoted(term)}\n${text(words)}`;

function commandsOf(command, help, path) {
  return [
    { command, path },
    ...help
      .visibleCommands(command)
      .flatMap((sub) => (sub.name() === 'help' ? [] : commandsOf(sub, help, [...path, sub.name()]))),
  ];
}

function sectionOf({ command, path }, help) {
  const options = help.visibleOptions(command).filter(({ long }) => long !== '--help');
  const details = command.registeredArguments.filter(({ description }) => description);
  return [
    `.SS ${quoted([...path, help.commandUsage(command).replace(/^.*? (?=\[|<)/, '')].join(' '))}`,
    text(`${command.description()}.`),
    ...details.map((argument) => entry(argument.name(), help.argumentDescription(argument))),
    ...options.map((option) => entry(option.flags, help.optionDescription(option))),
  ].join('\n');
}

export function manPage(program) {
  const help = program.createHelp();
  const [, ...commands] = commandsOf(program, help, [program.name()]);
  const leaves = commands.filter(({ command }) => help.visibleCommands(command).every((sub) => sub.name() === 'help'));
  const list = ([term, words]) => entry(term, words);
  return `.\\" Made by tools/man-page.mjs.
.TH KVM\\-DSM 1 "" ${quoted(`kvm-dsm ${version}`)} "User Commands"
.SH NAME
kvm\\-dsm \\- ${text(program.description())}
.SH SYNOPSIS
.B kvm\\-dsm
.I command
[\\fIoptions\\fR]
.SH DESCRIPTION
kvm\\-dsm drives a real /dev/kvm, or one in an emulated machine that it brings along (the lab), to test kernels that forward writes of the
local APIC's interrupt command register to user space (CONFIG_KVM_DSM_IRQ_FORWARD).
.SH COMMANDS
${leaves.map((leaf) => sectionOf(leaf, help)).join('\n')}
.SH EXIT STATUS
${exitCodes.map(list).join('\n')}
.SH ENVIRONMENT
${environment.map(list).join('\n')}
.SH EXAMPLES
.nf
kvm\\-dsm init ipi\\-tests
kvm\\-dsm run ipi.ts \\-\\-on svm
kvm\\-dsm test capability \\-\\-on vmx \\-\\-reporter ktap
.fi
.SH SEE ALSO
The documents of the package, in its folder docs; README.md is the first one.
`;
}

writeFileSync(join(root, 'dist/kvm-dsm.1.gz'), gzipSync(manPage(await commandLine(() => {})), { level: 9 }));
