/** `kvm-dsm kut`: an image of kvm-unit-tests, here or in a lane. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { ArgumentError } from '../base/errors.ts';
import type { GlobalOptions } from '../target/options.ts';
import { print } from '../target/output.ts';
import { profileFor, tellOnStderr } from '../target/profile.ts';
import { chooseTarget, currentTarget } from '../target/target.ts';
import { readImage } from './image.ts';
import { LONGEST_COMMAND_LINE } from './multiboot.ts';
import { jsonReporter, type KutHead, ktapReporter } from './report.ts';
import { exitCodes, verdictOf } from './results.ts';
import { runImage } from './vmm.ts';

/** Its options beside the global ones, as QEMU and unittests.cfg have them. */
export interface KutOptions extends GlobalOptions {
  smp: number;
  /** In MiB. */
  memory: number;
  append?: string;
  initrd?: string;
  irqchip: 'full' | 'split';
  x2apic: boolean;
  hyperv: boolean;
}

/** Where the image and its initrd are, inside. */
const INSIDE = '/run/kvm-dsm/kut';

/** Runs it; 0 if it passed, 1 if not, 4 if it skipped everything. */
export async function kut(path: string, options: KutOptions): Promise<number> {
  const file = fileOf('image', path);
  const name = basename(path);
  const image = readImage(name, file);
  const commandLine = options.append === undefined ? name : `${name} ${options.append}`;
  if (Buffer.byteLength(commandLine) > LONGEST_COMMAND_LINE)
    throw new ArgumentError(
      '--append',
      `the command line has ${Buffer.byteLength(commandLine)} bytes, and ${LONGEST_COMMAND_LINE} at most fit`,
      'Give fewer.',
    );
  const initrd = options.initrd === undefined ? null : fileOf('--initrd', options.initrd);
  const target = chooseTarget(options);
  if (target !== 'host') return inLane(target, name, file, initrd, options);
  const profile = profileFor(options, tellOnStderr);
  const { cpus, memory } = { cpus: options.smp, memory: options.memory * 2 ** 20 };
  const head: KutHead = { name: name.replace(/\.flat$/, ''), ...currentTarget, cpus, commandLine };
  const reporter = options.json ? jsonReporter(head, print) : ktapReporter(head, print);
  const { device, irqchip, x2apic, hyperv } = options;
  const given = { device, profile, image, commandLine, module: initrd, cpus, memory, irqchip, x2apic, hyperv };
  const end = await runImage({ ...given, limit: options.timeout * 1000 }, (text) => reporter.line(text));
  reporter.done(end);
  return exitCodes[verdictOf(end.code)];
}

function fileOf(argument: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new ArgumentError(
      argument,
      `${path} cannot be read: ${(error as Error).message}`,
      'Give the path of a file.',
    );
  }
}

/** After the image's time is over the command inside has so long to tell what there was, in seconds. */
const TO_TELL = 30;

async function inLane(
  lane: 'svm' | 'vmx',
  name: string,
  image: Buffer,
  initrd: Buffer | null,
  options: KutOptions,
): Promise<number> {
  const { runInLane } = await import('../target/in-lane.ts');
  const { smp, memory, append, irqchip, x2apic, hyperv, json, profile, device, timeout } = options;
  const path = `${INSIDE}/${name}`;
  const own = [
    ...['--on', 'host', '--smp', `${smp}`, '--memory', `${memory}`, '--irqchip', irqchip],
    ...['--profile', profile, '--device', device, '--timeout', `${timeout}`],
    ...(append === undefined ? [] : [`--append=${append}`]),
    ...(initrd === null ? [] : ['--initrd', `${INSIDE}/initrd`]),
    ...(x2apic ? [] : ['--no-x2apic']),
    ...(hyperv ? ['--hyperv'] : []),
    ...(json ? ['--json'] : []),
  ];
  const files = [{ path, data: image }, ...(initrd === null ? [] : [{ path: `${INSIDE}/initrd`, data: initrd }])];
  const allowed = { ...options, timeout: timeout + TO_TELL };
  return runInLane(lane, { what: `running ${name}`, argv: ['kut', path, ...own], files }, allowed);
}
