/** Inside a machine that stays: this command, loaded before it is known what it is to do. */
import { closeSync, readFileSync, readSync, rmSync } from 'node:fs';
import { createEventFd } from '../kvm/native.ts';
import { argumentsPath, goDescriptor, WAIT_FOR_COMMAND } from '../lab/disk/init.ts';

/** `argv`; or, if it says to wait, the arguments that come, with their environment in place. */
export async function awaitedArguments(argv: readonly string[]): Promise<readonly string[]> {
  if (argv[2] !== WAIT_FOR_COMMAND) return argv;
  // What most scripts take: modules, assembler, addon. KVM is not opened: a kernel is as the command finds it.
  const [{ asm }] = await Promise.all([import('../index.ts'), import('../runner/in-process.ts')]);
  asm.flat32`mov dword [0xfee00300], 0x000040f0`;
  createEventFd().close();
  readSync(goDescriptor, Buffer.alloc(1));
  closeSync(goDescriptor);
  const path = `/${argumentsPath}`;
  const given = JSON.parse(readFileSync(path, 'utf8')) as { argv: string[]; env: Record<string, string> };
  rmSync(path);
  Object.assign(process.env, given.env);
  process.argv = [...argv.slice(0, 2), ...given.argv];
  return process.argv;
}
