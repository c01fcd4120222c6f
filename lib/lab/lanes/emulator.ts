import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { LabEmulatorError } from '../errors.ts';
import { cacheDir, emulatorsFile } from '../paths.ts';

/** The emulated machines. */
export type Lane = 'vmx' | 'svm';

/** What was found out about a Bochs binary. */
export interface BochsTraits {
  kind: 'bochs';
  version: string;
  /** Built with the debugger: it stops at once and has to be told to go on. */
  debugger: boolean;
  display: string;
  cpuModel: string;
  /** Built with this network adapter. */
  e1000: boolean;
  bios: string;
  vgaBios: string;
}

/** What was found out about a QEMU binary. */
export interface QemuTraits {
  kind: 'qemu';
  version: string;
}

/** An emulator that can be used. */
export type Emulator = { path: string } & (BochsTraits | QemuTraits);

const names: Record<Lane, string> = { vmx: 'bochs', svm: 'qemu-system-x86_64' };
const patienceMs = 10_000;

/** The emulator for a lane: the given binary, else the one that the PATH has. Throws a LabEmulatorError otherwise. */
export function findEmulator(lane: Lane, given?: string): Emulator {
  const name = names[lane];
  const path = given === undefined ? onPath(name) : given.includes('/') ? resolve(given) : onPath(given);
  if (!path || !existsSync(path)) {
    throw new LabEmulatorError(`the emulator ${given ?? name} for the ${lane} lane is not there`, {
      advice: given ? 'Check the path given by --emulator.' : 'Run `kvm-dsm lab build`: it installs what is missing.',
    });
  }
  const emulator = probe(realpathSync(path));
  const wanted = lane === 'vmx' ? 'bochs' : 'qemu';
  if (emulator.kind !== wanted) {
    throw new LabEmulatorError(`${path} is ${emulator.kind}, and the ${lane} lane needs ${wanted}`, {
      advice: 'Bochs emulates Intel VMX, QEMU emulates AMD SVM: choose the other lane or the other binary.',
    });
  }
  return emulator;
}

function onPath(name: string): string | undefined {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  return dirs.map((dir) => join(dir, name)).find((path) => existsSync(path));
}

/** Finds out what a binary is. Asked once per binary: the answer is kept while its size and time stay. */
function probe(path: string): Emulator {
  const { size, mtimeMs } = statSync(path);
  const stamp = `${size} ${mtimeMs}`;
  const known = readKnown();
  const found = known[path];
  if (found?.stamp === stamp && found.recipe === recipe && stillThere(found.emulator)) return found.emulator;
  const emulator = probeNow(path);
  mkdirSync(cacheDir(), { recursive: true });
  const file = emulatorsFile();
  const text = JSON.stringify({ ...known, [path]: { stamp, recipe, emulator } }, null, 2);
  // By a rename, for those who read it meanwhile.
  writeFileSync(`${file}.${process.pid}`, `${text}\n`);
  renameSync(`${file}.${process.pid}`, file);
  return emulator;
}

/** Raised when the questions change. */
const recipe = 2;

type Known = Record<string, { stamp: string; recipe: number; emulator: Emulator }>;

function readKnown(): Known {
  try {
    return JSON.parse(readFileSync(emulatorsFile(), 'utf8')) as Known;
  } catch {
    return {};
  }
}

function stillThere(emulator: Emulator): boolean {
  return emulator.kind === 'qemu' || (existsSync(emulator.bios) && existsSync(emulator.vgaBios));
}

function probeNow(path: string): Emulator {
  const help = say(path, ['--help']);
  const qemu = /^QEMU emulator version (\S+)/m.exec(help);
  if (qemu) return { path, kind: 'qemu', version: qemu[1]! };
  if (!/^Usage: bochs /m.test(help)) {
    throw new LabEmulatorError(`${path} is neither Bochs nor QEMU`, {
      advice: `\`${path} --help\` has to print the help of one of them.`,
    });
  }
  const { version, debugger: debug } = readBochsHelp(help);
  const cpuModel = chooseCpuModel(version, readBochsCpuModels(say(path, ['--help', 'cpu'])));
  if (!cpuModel) {
    throw new LabEmulatorError(`${path} (Bochs ${version}) has no CPU model with VMX that the lab knows`, {
      advice: 'Use a Bochs that is built for x86-64 with VMX.',
    });
  }
  const display = displays.find((name) => hasDisplay(path, name));
  if (!display) {
    throw new LabEmulatorError(`${path} (Bochs ${version}) has none of the display libraries ${displays.join(', ')}`, {
      advice: 'Install bochs-term, or build Bochs with --with-nogui.',
    });
  }
  return { path, kind: 'bochs', version, debugger: debug, display, cpuModel, e1000: hasE1000(path), ...findBios(path) };
}

function say(path: string, args: string[]): string {
  const env = { ...process.env, TERM: 'xterm' };
  const answer = spawnSync(path, args, {
    encoding: 'utf8',
    timeout: patienceMs,
    killSignal: 'SIGKILL',
    env,
    input: '',
  });
  if (answer.error) {
    throw new LabEmulatorError(`${path} cannot be run: ${answer.error.message}`, {
      advice: 'Check the path given by --emulator.',
      cause: answer.error,
    });
  }
  return `${answer.stdout}\n${answer.stderr}`;
}

/** Reads what `bochs --help` tells. */
export function readBochsHelp(text: string): { version: string; debugger: boolean } {
  return {
    version: /Bochs x86 Emulator (\S+)/.exec(text)?.[1] ?? 'unknown',
    // Only a build with the debugger takes a file of debugger commands.
    debugger: /^\s*-rc\s/m.test(text),
  };
}

/** Reads what `bochs --help cpu` tells. */
export function readBochsCpuModels(text: string): string[] {
  const list = text.slice(text.indexOf('Supported CPU models'));
  return [...list.matchAll(/^([a-z0-9][a-z0-9_]*)$/gm)].map((match) => match[1]!);
}

/**
 * The model to emulate. Up to 2.7 no model has posted interrupts, and haswell's clock is the steadiest. Newer ones
 * have them with skylake_x and later, as today's machines do.
 */
export function chooseCpuModel(version: string, models: readonly string[]): string | undefined {
  const haswell = ['corei7_haswell_4770', 'broadwell_ult', 'corei7_ivy_bridge_3770k', 'corei7_sandy_bridge_2600k'];
  const skylake = ['corei7_skylake_x', 'corei7_icelake_u', 'tigerlake'];
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const modern = major > 2 || (major === 2 && minor > 7);
  return (modern ? [...skylake, ...haswell] : haswell).find((model) => models.includes(model));
}

/** In the order of preference: none of these needs a screen. */
const displays = ['nogui', 'term'];

/** Lets Bochs parse a configuration that names the library, and fail for another reason. */
function hasDisplay(path: string, name: string): boolean {
  const args = ['-n', '-q', `display_library: ${name}`, 'romimage: file=/nonexistent'];
  return !say(path, args).includes(`display library '${name}' not available`);
}

function hasE1000(path: string): boolean {
  const args = ['-n', '-q', 'e1000: enabled=1, mac=52:54:00:00:00:01, ethmod=null', 'romimage: file=/nonexistent'];
  return !/'(e1000|null)' not (understood|available)/.test(say(path, args));
}

function findBios(path: string): { bios: string; vgaBios: string } {
  const home = dirname(path);
  const dirs = [process.env.BXSHARE, join(home, '../share/bochs'), join(home, 'bios'), join(home, '../bios'), home];
  dirs.push('/usr/share/bochs', '/usr/local/share/bochs', '/usr/share/vgabios', '/usr/share/seabios');
  const find = (names: string[]) => {
    const found = dirs
      .flatMap((dir) => (dir ? names.map((name) => resolve(dir, name)) : []))
      .find((file) => existsSync(file));
    if (found) return found;
    throw new LabEmulatorError(`the firmware ${names[0]} for ${path} is not there`, {
      advice: 'Install bochsbios and bochs, or set BXSHARE to the folder that holds it.',
    });
  };
  return { bios: find(['BIOS-bochs-latest']), vgaBios: find(['VGABIOS-lgpl-latest', 'VGABIOS-lgpl-latest.bin']) };
}
