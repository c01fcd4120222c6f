/** Inside a machine that stays: this command, loaded before it is known what it is to do. */
import { closeSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { createEventFd, reseedRandom } from '../kvm/native.ts';
import { argumentsPath, goDescriptor, loadedDescriptor, WAIT_FOR_COMMAND } from '../lab/disk/init.ts';

interface Given {
  argv: string[];
  env: Record<string, string>;
  /** Random bytes, as hexadecimal digits. */
  seed: string;
}

/** `argv`; or, if it says to wait, the arguments that come, with their environment in place. */
export async function awaitedArguments(argv: readonly string[]): Promise<readonly string[]> {
  if (argv[2] !== WAIT_FOR_COMMAND) return argv;
  // What most scripts take: modules, assembler, addon. KVM is not opened: a kernel is as the command finds it.
  const [{ asm }] = await Promise.all([import('../index.ts'), import('../runner/in-process.ts')]);
  asm.flat32`mov dword [0xfee00300], 0x000040f0`;
  createEventFd().close();
  writeSync(loadedDescriptor, '\n');
  closeSync(loadedDescriptor);
  readSync(goDescriptor, Buffer.alloc(1));
  closeSync(goDescriptor);
  const path = `/${argumentsPath}`;
  const given = JSON.parse(readFileSync(path, 'utf8')) as Given;
  rmSync(path);
  becomeAnother(given.seed);
  Object.assign(process.env, given.env);
  process.argv = [...argv.slice(0, 2), ...given.argv];
  return process.argv;
}

/**
 * The machine may go on from a state that others have gone on from: what is random here has to be another's from now on. Of
 * OpenSSL it is, since the clock has been set ahead; V8 chooses its seed with the first number.
 */
function becomeAnother(seed: string): void {
  reseedRandom(Buffer.from(seed, 'hex'));
  setFlagsFromString(`--random-seed=${Number.parseInt(seed.slice(0, 7), 16) + 1}`);
  // Looked at, so that what makes the code smaller does not leave it out.
  if (Math.random() >= 1) throw new RangeError('V8 draws from 0 to 1');
  setFlagsFromString('--random-seed=0');
  Object.defineProperty(performance, 'timeOrigin', { value: Date.now() - performance.now(), enumerable: true });
}
