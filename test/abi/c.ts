/** Asks the C compiler what the kernel's headers say: offsets, sizes, constants. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cNameOf, type Field, type Layout } from '../../lib/abi/layout.ts';

/** One question: a C expression, what the table says it is, and the `#if` condition under which the headers know it. */
export interface Probe {
  label: string;
  expression: string;
  expected: number | bigint;
  condition?: string | undefined;
}

/** What the compiler said, of all the probes of one program. */
export interface Answers {
  /** `label: C says 8, the table says 9`. */
  wrong: string[];
  /** Labels of probes whose condition these headers do not meet. */
  unknown: string[];
  /** Labels of probes that agree. */
  right: string[];
  /** LINUX_VERSION_CODE of the headers. */
  version: number;
}

/**
 * Directories to search before the system's, such as those of `make headers_install` of another kernel: a colon-separated
 * list. With it, the tables' youngest numbers can be checked on a machine whose own headers are old.
 */
const extraIncludes = (process.env.KVM_UAPI_INCLUDE ?? '').split(':').filter(Boolean);

/** Why no C program can be compiled here, or `false`: the value of a test's `skip`. */
export const noCompiler: string | false =
  spawnSync('cc', ['--version']).status === 0 ? false : 'no C compiler (cc) here';

/** `#if` condition: these headers define the macro. */
export function defined(macro: string): string {
  return `defined(${macro})`;
}

/** `#if` condition: these headers are of this kernel or a later one. */
export function since(major: number, minor: number): string {
  return `LINUX_VERSION_CODE >= ${versionCode(major, minor)}`;
}

export function versionCode(major: number, minor: number): number {
  return (major << 16) | (minor << 8);
}

/** Compiles and runs one program with all the probes. */
export function ask(headers: readonly string[], probes: readonly Probe[], includes: readonly string[] = []): Answers {
  const lines = probes.map(({ expression, condition }, index) => {
    const print = `printf("${index} %llu\\n", (unsigned long long)(${expression}));`;
    return condition === undefined ? print : `#if ${condition}\n${print}\n#endif`;
  });
  const source = [
    '#include <stdio.h>',
    '#include <stddef.h>',
    '#include <linux/version.h>',
    ...headers.map((header) => `#include <${header}>`),
    '#define SIGNED(x) ((__typeof__(x))-1 < 0)',
    'int main(void) {',
    'printf("version %llu\\n", (unsigned long long)LINUX_VERSION_CODE);',
    ...lines,
    'return 0; }',
  ].join('\n');
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-abi-'));
  try {
    const input = join(directory, 'probe.c');
    const program = join(directory, 'probe');
    writeFileSync(input, source);
    const search = [...extraIncludes, ...includes].map((path) => `-I${path}`);
    execFileSync('cc', ['-w', '-O0', ...search, '-o', program, input], { stdio: ['ignore', 'pipe', 'pipe'] });
    return compare(probes, execFileSync(program, { encoding: 'utf8' }));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function compare(probes: readonly Probe[], output: string): Answers {
  const said = new Map(output.split('\n').map((line) => line.split(' ') as [string, string]));
  const answers: Answers = { wrong: [], unknown: [], right: [], version: Number(said.get('version')) };
  probes.forEach(({ label, expected }, index) => {
    const value = said.get(String(index));
    if (value === undefined) answers.unknown.push(label);
    else if (BigInt(value) === BigInt.asUintN(64, BigInt(expected))) answers.right.push(label);
    else answers.wrong.push(`${label}: C says ${value}, the table says ${expected}`);
  });
  return answers;
}

const scalarSizes = { u8: 1, u16: 2, s16: 2, u32: 4, s32: 4, u64: 8, s64: 8, bool: 1 } as const;

/** Everything that a layout claims: the struct's size, and each field's offset, size, element size and sign. */
export function layoutProbes(layout: Layout<unknown>, conditionOf: (path: string) => string | undefined): Probe[] {
  const { cType, cMember } = layout;
  if (cType === null) throw new Error('only a layout with a C type can be asked about');
  const path = cMember === null ? '' : `${cMember}.`;
  const object = cMember === null ? `*(${cType} *)0` : `((${cType} *)0)->${cMember}`;
  const own = conditionOf(cMember ?? '');
  const size = {
    label: `sizeof ${cType} ${cMember ?? ''}`.trim(),
    expression: `sizeof(${object})`,
    expected: layout.size,
  };
  return [
    { ...size, condition: own },
    ...fieldProbes(layout, path, cMember === null ? '0' : `offsetof(${cType}, ${cMember})`, cType, conditionOf),
  ];
}

function fieldProbes(
  layout: Layout<unknown>,
  path: string,
  start: string,
  cType: string,
  conditionOf: (path: string) => string | undefined,
): Probe[] {
  return Object.entries(layout.fields as Record<string, Field<unknown>>).flatMap(([property, field]) => {
    const member = `${path}${cNameOf(property, field)}`;
    const condition = conditionOf(member);
    const label = `${cType} ${member}`;
    const object = `((${cType} *)0)->${member}`;
    const probes: Probe[] = [
      {
        label: `${label} offset`,
        expression: `offsetof(${cType}, ${member}) - ${start}`,
        expected: field.offset,
        condition,
      },
      { label: `${label} size`, expression: `sizeof(${object})`, expected: field.size, condition },
    ];
    if (field.type in scalarSizes) {
      const element = field.count === null ? object : `${object}[0]`;
      const size = scalarSizes[field.type as keyof typeof scalarSizes];
      probes.push({ label: `${label} element`, expression: `sizeof(${element})`, expected: size, condition });
      if (field.count === null) {
        const sign = field.type.startsWith('s') ? 1 : 0;
        probes.push({ label: `${label} sign`, expression: `SIGNED(${object})`, expected: sign, condition });
      }
    }
    if (field.inner !== null) {
      const inner = field.count === null ? member : `${member}[0]`;
      probes.push(...fieldProbes(field.inner, `${inner}.`, `offsetof(${cType}, ${inner})`, cType, conditionOf));
    }
    return probes;
  });
}
