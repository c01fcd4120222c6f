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
    removeForsaken(places);
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

  /** What is open of it must be closed before. Returns false if it cannot be removed now. */
  remove(): boolean {
    return tried(() => rmdirSync(this.folder) === undefined) ?? false;
  }
}

/** What processes that were killed have left: it would go on recording. Does nothing where there is no tracing. */
export function removeForsaken(places: readonly string[] = PLACES): void {
  for (const root of places) {
    const isGone = (pid: string | undefined) => pid !== undefined && !existsSync(`/proc/${pid}`);
    for (const name of tried(() => readdirSync(join(root, 'instances'))) ?? [])
      if (isGone(/^kvm-dsm-(\d+)$/.exec(name)?.[1])) tried(() => rmdirSync(join(root, 'instances', name)));
    const probes = tried(() => readFileSync(join(root, 'kprobe_events'), 'utf8')) ?? '';
    for (const [, probe, pid] of probes.matchAll(/^\S+?:(kvm_dsm_(\d+)\/\w+) /gm))
      if (isGone(pid)) tried(() => writeFileSync(join(root, 'kprobe_events'), `-:${probe}\n`, { flag: 'a' }));
  }
}

function tried<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
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
