/** A register by its NASM name. */
export interface Register {
  readonly name: string;
  readonly kind: 'gpr' | 'segment' | 'control' | 'debug' | 'test' | 'st' | 'mm' | 'xmm' | 'ip';
  /** In bits. */
  readonly size: number;
  readonly number: number;
  /** Its name in iced-x86's enumeration. */
  readonly iced: string;
}

const table = new Map<string, Register>();

function add(kind: Register['kind'], size: number, names: readonly string[], iced = (name: string) => name): void {
  names.forEach((name, number) => {
    table.set(name, { name, kind, size, number, iced: iced(name).toUpperCase() });
  });
}

const numbered = (prefix: string, count: number, suffix = '') =>
  Array.from({ length: count }, (_, number) => `${prefix}${number}${suffix}`);
const high = (suffix: string) => numbered('r', 16, suffix).slice(8);
const legacy = ['ax', 'cx', 'dx', 'bx', 'sp', 'bp', 'si', 'di'];

add('gpr', 8, ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil', ...high('b')], (name) =>
  name.replace(/^(r\d+)b$/, '$1l'),
);
add('gpr', 8, ['', '', '', '', 'ah', 'ch', 'dh', 'bh']);
table.delete('');
add('gpr', 16, [...legacy, ...high('w')]);
add('gpr', 32, [...legacy.map((name) => `e${name}`), ...high('d')]);
add('gpr', 64, [...legacy.map((name) => `r${name}`), ...high('')]);
add('segment', 16, ['es', 'cs', 'ss', 'ds', 'fs', 'gs']);
add('control', 0, numbered('cr', 16));
add('debug', 0, numbered('dr', 16));
add('test', 32, numbered('tr', 8));
add('st', 80, numbered('st', 8));
add('mm', 64, numbered('mm', 8));
add('xmm', 128, numbered('xmm', 16));
// Only for a clear word about where it may stand.
add('ip', 64, ['rip']);
add('ip', 32, ['eip']);

/** The register of this name, in any case. */
export function findRegister(name: string): Register | undefined {
  return table.get(name.toLowerCase());
}

/** The general purpose register with this one's number and another size. */
export function resized(register: Register, size: number): Register {
  for (const other of table.values())
    if (other.kind === 'gpr' && other.size === size && other.number === register.number && !/^.h$/.test(other.name))
      return other;
  return register;
}

/** Exists only in 64-bit mode. */
export function needsLongMode({ kind, name, size, number }: Register): boolean {
  if (kind === 'gpr') return size === 64 || number >= 8 || ['spl', 'bpl', 'sil', 'dil'].includes(name);
  return ['xmm', 'control', 'debug'].includes(kind) && number >= 8;
}

export const registerNames: readonly string[] = [...table.keys()];
