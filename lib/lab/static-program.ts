/** Whether a program runs in a machine of the lab, which has no libraries but Node.js' own. Source: the System V ABI, ELF header. */

const ELF = Buffer.from('\x7fELF', 'latin1');
const CLASS_64 = 2;
const MACHINE_X86_64 = 62;
const MACHINE_386 = 3;
const PT_INTERP = 3;

/** Why not, and what to do. */
export interface Unfit {
  reason: string;
  advice: string;
}

/** `null`: it does, as far as its head says: a script's interpreter is looked for inside. */
export function staticProgram(bytes: Buffer): Unfit | null {
  if (bytes.subarray(0, 2).toString('latin1') === '#!') return null;
  const advice = 'Build it for x86-64 with -static.';
  if (bytes.length < 64 || !bytes.subarray(0, 4).equals(ELF))
    return { reason: 'it is neither an ELF file nor a script', advice };
  const machine = bytes.readUInt16LE(18);
  if (machine !== MACHINE_X86_64 && machine !== MACHINE_386)
    return { reason: `it is made for another machine (e_machine ${machine})`, advice };
  return needsInterpreter(bytes) ? { reason: 'it is linked with shared libraries, which are not there', advice } : null;
}

/** Whether it has a program header PT_INTERP: the dynamic linker's name. */
function needsInterpreter(bytes: Buffer): boolean {
  const is64 = bytes[4] === CLASS_64;
  const offset = is64 ? Number(bytes.readBigUInt64LE(32)) : bytes.readUInt32LE(28);
  const [size, count] = is64 ? [54, 56] : [42, 44];
  const [entry, entries] = [bytes.readUInt16LE(size), bytes.readUInt16LE(count)];
  for (let at = 0; at < entries; at++) {
    const header = offset + at * entry;
    if (header + 4 > bytes.length) return false;
    if (bytes.readUInt32LE(header) === PT_INTERP) return true;
  }
  return false;
}
