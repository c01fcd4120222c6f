/** NASM's mnemonics and the codes of iced-x86 that they mean. */
import { iced } from './iced.ts';

/** Conditions by NASM's names; the value is the one that iced-x86 uses. */
const conditions = new Map(
  Object.entries({
    ...{ o: 'o', no: 'no', b: 'b', c: 'b', nae: 'b', ae: 'ae', nb: 'ae', nc: 'ae', e: 'e', z: 'e', ne: 'ne', nz: 'ne' },
    ...{ be: 'be', na: 'be', a: 'a', nbe: 'a', s: 's', ns: 'ns', p: 'p', pe: 'p', np: 'np', po: 'np' },
    ...{ l: 'l', nge: 'l', ge: 'ge', nl: 'ge', le: 'le', ng: 'le', g: 'g', nle: 'g' },
  }),
);

/** Mnemonics that are spelled otherwise in the tables, which name some after their operand size. */
const families: Record<string, readonly string[]> = {
  push: ['push', 'pushw', 'pushd', 'pushq'],
  pop: ['pop', 'popw', 'popd', 'popq'],
  pusha: ['pushaw', 'pushad'],
  popa: ['popaw', 'popad'],
  pushf: ['pushfw', 'pushfd', 'pushfq'],
  popf: ['popfw', 'popfd', 'popfq'],
  ...sized(['iret', 'retf', 'enter', 'leave']),
  ret: ['retnw', 'retnd', 'retnq'],
  retn: ['retnw', 'retnd', 'retnq'],
  retw: ['retnw'],
  retd: ['retnd'],
  retq: ['retnq'],
  nop: ['nopw', 'nopd', 'nopq', 'nop'],
  sysret: ['sysretd', 'sysretq'],
  sysexit: ['sysexitd', 'sysexitq'],
  ...sized(['monitor', 'monitorx', 'vmrun', 'vmload', 'vmsave', 'clzero', 'invlpga', 'invlpgb', 'pvalidate']),
  fxsave: ['fxsave', 'fxsave64'],
  fxrstor: ['fxrstor', 'fxrstor64'],
  xsave: ['xsave', 'xsave64'],
  xrstor: ['xrstor', 'xrstor64'],
  xlat: ['xlat'],
  xlatb: ['xlat'],
  icebp: ['int1'],
  int01: ['int1'],
  int03: ['int3'],
  fwait: ['wait'],
  loopz: ['loope'],
  loopnz: ['loopne'],
  sal: ['shl'],
  movsx: ['movsx', 'movsxd'],
};

function sized(names: readonly string[]): Record<string, readonly string[]> {
  return Object.fromEntries(names.map((name) => [name, ['w', 'd', 'q'].map((suffix) => name + suffix)]));
}

/** Encodings that the lower half of every x86 lacks, and what is no instruction. */
const foreign = new Set(
  'VEX EVEX XOP MVEX D3NOW INVALID DeclareByte DeclareWord DeclareDword DeclareQword Reservednop Zero Cyrix Via'.split(
    ' ',
  ),
);

/** Codes that no CPU of today runs as what they are called: 0f begins another instruction, and the result of bswap is undefined. */
const undefinedCodes = new Set(['Popw_CS', 'Popd_CS', 'Bswap_r16']);

let byMnemonic: Map<string, number[]> | undefined;

/** The tables' codes by the first part of their names. */
function codes(): Map<string, number[]> {
  if (byMnemonic) return byMnemonic;
  byMnemonic = new Map();
  const { Code } = iced();
  // Thousands of names, at a time when nothing is compiled yet: no regular expression for each.
  for (const name in Code) {
    const code = Code[name as keyof typeof Code] as number | string;
    if (typeof code !== 'number') continue;
    const end = name.indexOf('_');
    const first = end < 0 ? name : name.slice(0, end);
    if (foreign.has(first) || undefinedCodes.has(name)) continue;
    const mnemonic = first.toLowerCase();
    const found = byMnemonic.get(mnemonic);
    if (found) found.push(code);
    else byMnemonic.set(mnemonic, [code]);
  }
  return byMnemonic;
}

/** The codes of every form of an instruction, by its NASM name in lower case; empty if there is no such instruction. */
export function codesOf(mnemonic: string): readonly number[] {
  const condition = /^(j|set|cmov)(.+)$/.exec(mnemonic);
  const canonical = condition ? conditions.get(condition[2]!) : undefined;
  const names = Object.hasOwn(families, mnemonic)
    ? families[mnemonic]!
    : [canonical === undefined ? mnemonic : condition![1] + canonical];
  return names.flatMap((name) => codes().get(name) ?? []);
}

/** True of an instruction that there is with a VEX or an EVEX prefix alone. */
export function isVector(mnemonic: string): boolean {
  if (!mnemonic.startsWith('v') && !/^(and|b|kan|kmov|mulx|pdep|pext|rorx|sarx|shlx|shrx)/.test(mnemonic)) return false;
  const wanted = mnemonic.charAt(0).toUpperCase() + mnemonic.slice(1);
  const { Code } = iced();
  for (const name in Code)
    if (name.startsWith('VEX_') || name.startsWith('EVEX_')) if (name.split('_')[1] === wanted) return true;
  return false;
}

/** Every mnemonic, for suggestions. */
export function mnemonics(): string[] {
  const conditional = ['j', 'set', 'cmov'].flatMap((stem) => [...conditions.keys()].map((name) => stem + name));
  return [...new Set([...codes().keys(), ...Object.keys(families), ...conditional])];
}
