/** An instance of the kernel's tracing, apart from whatever else is traced: Documentation/trace/ftrace.rst. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KernelEventsError } from './errors.ts';

/** Where it is mounted, by itself or with debugfs. */
const PLACES = ['/sys/kernel/tracing', '/sys/kernel/debug/tracing'];

/** What this package's instances are named by: behind it stands the id of the process. */
const NAME = 'kvm-dsm-';

export class TraceInstance {
  readonly #root: string;
  readonly folder: string;

  /** @throws KernelEventsError */
  constructor(places: readonly string[] = PLACES) {
    this.#root = tracefsIn(places);
    this.#removeForsaken();
    this.folder = join(this.#root, 'instances', `${NAME}${process.pid}`);
    try {
      mkdirSync(this.folder);
    } catch (error) {
      throw denied(this.folder, error);
    }
  }

  /** Absolute path of one of its files. */
  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  read(...names: string[]): string {
    return readFileSync(this.path(...names), 'utf8');
  }

  /** @throws KernelEventsError */
  write(text: string, ...names: string[]): void {
    const path = this.path(...names);
    try {
      writeFileSync(path, text);
    } catch (error) {
      throw denied(path, error);
    }
  }

  list(...names: string[]): string[] {
    try {
      return readdirSync(this.path(...names));
    } catch {
      return [];
    }
  }

  /** A file of all instances. Throws what node does. */
  appendShared(name: string, line: string): void {
    writeFileSync(join(this.#root, name), `${line}\n`, { flag: 'a' });
  }

  /** The name that the kernel remembers of a thread which may be gone: '' if it does not. */
  nameOf(tid: number): string {
    const known = readFileSync(join(this.#root, 'saved_cmdlines'), 'utf8');
    return new RegExp(`^${tid} (.*)$`, 'm').exec(known)?.[1] ?? '';
  }

  /** What is open of it must be closed before. */
  remove(): void {
    rmdirSync(this.folder);
  }

  /** Those of processes that were killed go on recording otherwise. */
  #removeForsaken(): void {
    for (const name of readdirSync(join(this.#root, 'instances'))) {
      const pid = name.startsWith(NAME) ? Number(name.slice(NAME.length)) : Number.NaN;
      if (!Number.isInteger(pid) || existsSync(`/proc/${pid}`)) continue;
      try {
        rmdirSync(join(this.#root, 'instances', name));
      } catch {} // somebody reads it
    }
  }
}

function tracefsIn(places: readonly string[]): string {
  const errors: unknown[] = [];
  for (const place of places) {
    try {
      readdirSync(join(place, 'instances'));
      return place;
    } catch (error) {
      errors.push(error);
    }
  }
  const refused = errors.find((error) => codeOf(error) === 'EACCES' || codeOf(error) === 'EPERM');
  if (refused) throw denied(places[0]!, refused);
  throw new KernelEventsError(
    `tracefs is not mounted at ${places[0]}`,
    'As root: mount -t tracefs tracefs /sys/kernel/tracing. A kernel that does not know it lacks CONFIG_FTRACE and ' +
      'CONFIG_ENABLE_DEFAULT_TRACERS (or a tracer, such as CONFIG_FUNCTION_TRACER).',
    errors[0],
  );
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

function denied(path: string, error: unknown): KernelEventsError {
  return new KernelEventsError(
    `${path}: ${(error as Error).message}`,
    'Run it as root, on a kernel that is not locked down (cat /sys/kernel/security/lockdown); or leave --kernel-events out.',
    error,
  );
}
