/** `kvm-dsm check`: the types of scripts, before anything is booted. */
import { spawn } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { DeadlineError, PlainError } from '../../base/errors.ts';
import { temporary, temporaryFolder } from '../../base/temporary.ts';
import { plural } from '../../base/text.ts';
import type { GlobalOptions } from '../../target/options.ts';
import { print } from '../../target/output.ts';
import { withSignals } from '../../target/signals.ts';
import { findScript } from '../script-file.ts';
import { assemblyErrors } from './assembly.ts';
import { type Diagnostic, readDiagnostics } from './diagnostics.ts';
import { projectOf } from './project.ts';
import { findTypescript, type Typescript } from './typescript.ts';

/** The compiler ended without judging the script: a crash, an option that it does not know. */
export class TypescriptFailedError extends PlainError {
  readonly code = 'ERR_TYPESCRIPT_FAILED';
}

/** Prints the errors and returns the exit code: 1 if there is one. */
export async function checkScripts(
  scripts: readonly string[],
  { json, timeout }: Pick<GlobalOptions, 'json' | 'timeout'>,
): Promise<number> {
  const paths = scripts.map(findScript);
  const typescript = findTypescript(paths[0]!);
  // Scripts of one folder have one project, and are checked together.
  const folders = [...new Set(paths.map((path) => dirname(path)))];
  const errors: Diagnostic[] = [];
  for (const folder of folders) {
    const own = paths.filter((path) => dirname(path) === folder);
    errors.push(...(await checkTogether(own, folder, typescript, { json, timeout })));
  }
  for (const path of paths) errors.push(...(await assemblyOf(path, json)));
  const ok = errors.length === 0;
  if (json)
    print(`${JSON.stringify({ version: 1, ok, typescript: typescript.version, scripts: paths, errors }, null, 2)}\n`);
  else if (ok) print(`ok: ${plural(paths.length, 'script')}, by TypeScript ${typescript.version}\n`);
  else print(`not ok: ${plural(errors.length, 'error')}, by TypeScript ${typescript.version}\n`);
  return ok ? 0 : 1;
}

/** The same for what the assembler refuses, in the form of `tsc`, which editors know. */
async function assemblyOf(file: string, json: boolean): Promise<Diagnostic[]> {
  const errors = await assemblyErrors(file);
  if (!json)
    for (const { line, column, code, reason, excerpt, advice } of errors)
      print(`${relative('', file)}(${line},${column}): error ${code}: ${reason}\n${excerpt}\n  -> ${advice}\n`);
  return errors.map(({ line, column, code, reason }) => ({ file, line, column, code, message: reason }));
}

async function checkTogether(
  scripts: readonly string[],
  folder: string,
  { tsc }: Typescript,
  { json, timeout }: Pick<GlobalOptions, 'json' | 'timeout'>,
): Promise<Diagnostic[]> {
  const directory = temporaryFolder();
  try {
    const project = join(directory, 'tsconfig.json');
    temporary(() => writeFileSync(project, JSON.stringify(projectOf(scripts, folder))));
    const { text, code } = await withSignals((signal) =>
      run([tsc, '-p', project, '--pretty', 'false'], timeout, signal),
    );
    const errors = readDiagnostics(text);
    if (code !== 0 && errors.length === 0)
      throw new TypescriptFailedError(`tsc ended with ${code} and named no error: ${text.trim().slice(0, 2000)}`, {
        advice: 'Try another version of typescript; kvm-dsm takes 5.4 and later ones.',
      });
    if (!json) print(text);
    return errors;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A process group of its own: the compiler may be a child of the program that is started. */
function run(args: string[], seconds: number, signal: AbortSignal): Promise<{ text: string; code: number | string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const end = (error: unknown) => {
      reject(error);
      const runs = child.pid !== undefined && child.exitCode === null && child.signalCode === null;
      if (runs) process.kill(-child.pid!, 'SIGKILL');
    };
    const late = new DeadlineError(`tsc did not end within ${seconds} s`, '');
    const timer = setTimeout(() => end(late), seconds * 1000);
    signal.addEventListener('abort', () => end(signal.reason), { once: true });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (part) => (text += part));
    child.on('error', reject);
    child.on('close', (code, killed) => {
      clearTimeout(timer);
      resolve({ text, code: code ?? killed! });
    });
  });
}
