/** `kvm-dsm abi`: its sections, here or in a lane, as text or JSON. */
import type { DsmProfile } from '../abi/dsm/profiles.ts';
import { hex } from '../base/text.ts';
import { type ReservedExitName, reservedExitParameters } from '../probe/reserved-exits.ts';
import { laneOf } from '../target/lanes.ts';
import type { GlobalOptions } from '../target/options.ts';
import { print } from '../target/output.ts';
import { profileFor, tellOnStderr } from '../target/profile.ts';
import { checkProfileName } from '../target/profile-name.ts';
import { currentTarget, describeTarget, refuseLabOptions } from '../target/target.ts';
import { type AnsweredEntry, type AnsweredSection, inspect } from './index.ts';

/** `kvm-dsm abi`: every number and layout, and what the kernel here, or of a lane, answers to it. */
export async function abi(options: GlobalOptions): Promise<number> {
  checkProfileName(options.profile);
  const lane = laneOf(options.on);
  if (lane) {
    const { runCommandInLane } = await import('../target/in-lane.ts');
    return runCommandInLane('abi', lane, options);
  }
  // `auto` is here: a lab is not booted for numbers that nobody asked of it.
  refuseLabOptions(options);
  const profile = profileFor(options, tellOnStderr);
  const sections = inspect(options.device, profile);
  print(options.json ? `${JSON.stringify(documentOf(profile, sections), null, 2)}\n` : textOf(profile, sections));
  return 0;
}

function documentOf(profile: DsmProfile, sections: readonly AnsweredSection[]) {
  const dsm = sections.find(({ name }) => name === 'dsm')!.entries;
  return {
    version: 1,
    profile: profile.name,
    title: profile.title,
    on: currentTarget.on,
    kernel: currentTarget.kernel,
    // The profile's own, as they were before there were sections.
    exits: ofKind(dsm, 'exit').map(({ name, number, source, fields, answer }) => ({
      name,
      reason: number,
      emitted: profile.exits[name]!.emitted,
      extension:
        !profile.exits[name]!.emitted && name in reservedExitParameters
          ? `kvm.${reservedExitParameters[name as ReservedExitName]}`
          : null,
      source,
      fields,
      answer,
    })),
    ioctls: ofKind(dsm, 'ioctl').map(({ name, number, source, size, fields, answer }) => ({
      name,
      request: hex(number!),
      source,
      size,
      fields,
      answer,
    })),
    sections: sections.map((section) => ({ ...section, entries: section.entries.map(rowOf) })),
  };
}

const ofKind = (entries: readonly AnsweredEntry[], kind: AnsweredEntry['kind']) =>
  entries.filter((entry) => entry.kind === kind);

function rowOf(entry: AnsweredEntry) {
  const { kind, name, source, note = null, size = null, fields = [], answer } = entry;
  return { kind, name, number: numberOf(entry), source, note, size, fields, answer };
}

/** As people write it: ioctls and MSRs in hexadecimal. */
function numberOf({ kind, number }: AnsweredEntry): number | string | null {
  return number !== null && (kind === 'ioctl' || kind === 'msr') ? hex(number) : number;
}

/** Columns before the name, and before the answer. */
const NAME = 14;
const ANSWER = 52;

function textOf(profile: DsmProfile, sections: readonly AnsweredSection[]): string {
  const head = [
    `on ${describeTarget()}`,
    `profile ${profile.name}: ${profile.title}`,
    "@ is an offset in bytes: an exit's in kvm_run, another's in its struct",
  ];
  return `${[...head, ...sections.flatMap(sectionText)].join('\n')}\n`;
}

function sectionText({ name, title, entries }: AnsweredSection): string[] {
  const lines = ['', `${`${name}: ${title}`.padEnd(ANSWER)}  this kernel answers`];
  let group = '';
  for (const entry of entries) {
    // What entries in a row have in common stands above them.
    const from = `  ${entry.kind}, from ${entry.source}`;
    if (from !== group) lines.push(from);
    group = from;
    lines.push(...entryText(entry));
  }
  return lines;
}

function entryText(entry: AnsweredEntry): string[] {
  const { name, note, size, fields = [], answer } = entry;
  const said = answer.asked ? answer.answer : `not asked: ${answer.why}`;
  const indent = ' '.repeat(NAME);
  const about = [size === undefined ? '' : `${size} bytes`, note ?? ''].filter(Boolean).join('; ');
  return [
    `${`${String(numberOf(entry) ?? '').padStart(NAME - 2)}  ${name}`.padEnd(ANSWER)}  ${said}`,
    ...(about ? [indent + about] : []),
    ...fields.map((field) => `${indent}@${String(field.offset).padEnd(3)} ${field.type.padEnd(7)} ${field.name}`),
  ];
}
