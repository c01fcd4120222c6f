import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { profileByName } from '../abi/dsm/profile.ts';
import { setRunBudget } from '../budget.ts';
import { DeadlineError } from '../errors.ts';
import { context } from '../script/context.ts';
import type { Machine } from '../script/machine.ts';
import { bundleScript, findScript, packageEntry } from './bundle.ts';
import { findings } from './findings.ts';
import { importModule } from './import-module.ts';
import type { GlobalOptions } from './options.ts';
import { choosePlace, here } from './place.ts';
import { runReporter } from './run-report.ts';
import { withScriptPlaces } from './script-stack.ts';

/** Where a script lies inside a lab machine. */
const GUEST_SCRIPT_DIR = '/run/kvm-dsm';

/** How long a script may go on, in ms, after the time for guests is over: for its own reports. */
const GRACE = 2000;

/** `kvm-dsm run`: returns the exit code. */
export async function run(script: string, args: string[], options: GlobalOptions): Promise<number> {
  const path = findScript(script);
  profileByName(options.profile);
  const place = choosePlace(options);
  return place === 'host' ? runHere(path, args, options) : runBundled(place, path, args, options);
}

async function runBundled(lane: 'vmx' | 'svm', path: string, args: string[], options: GlobalOptions): Promise<number> {
  const { runScriptInLane } = await import('./in-lane.ts');
  const { packageInside } = await import('../lab/index.ts');
  const module = `${GUEST_SCRIPT_DIR}/${basename(path).replace(/\.[^.]*$/, '')}.mjs`;
  const files = [{ path: module, data: await bundleScript(path, `${packageInside}/dist/index.js`) }];
  return runScriptInLane(lane, { script: module, args }, files, options);
}

async function runHere(path: string, args: string[], options: GlobalOptions): Promise<number> {
  const script = await scriptModule(path);
  const machines: Machine[] = [];
  const reporter = runReporter(options.json);
  context.device = options.device;
  context.profile = profileByName(options.profile);
  context.observer = { machine: (machine) => machines.push(machine), exit: (event) => reporter.exit(event) };
  setRunBudget(options.timeout * 1000);
  reporter.start();
  try {
    process.argv = [process.execPath, path, ...args];
    await withLimit(importModule(pathToFileURL(script.path).href), options.timeout * 1000 + GRACE);
    for (const finding of findings(machines, undefined)) reporter.finding(finding);
    reporter.passed();
    return 0;
  } catch (thrown) {
    const error = withScriptPlaces(thrown, script.path);
    const found = findings(machines, error);
    for (const finding of found) reporter.finding(finding);
    return reporter.failed(error, found);
  } finally {
    for (const machine of machines) machine.close();
    script.remove();
  }
}

/** The script as one module that node can import. */
async function scriptModule(path: string): Promise<{ path: string; remove(): void }> {
  // Inside the lab it is one already, made before the machine was started.
  if (here.on !== 'host') return { path, remove() {} };
  const text = await bundleScript(path, packageEntry);
  const directory = mkdtempSync(join(tmpdir(), 'kvm-dsm-'));
  const module = join(directory, `${basename(path)}.mjs`);
  writeFileSync(module, text);
  return { path: module, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** A script that waits for something outside a guest ends in time as well. */
async function withLimit(script: Promise<unknown>, ms: number): Promise<void> {
  const late = new DeadlineError('The script did not end within the time that --timeout allows', '');
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late), ms);
  });
  try {
    await Promise.race([script, limit]);
  } finally {
    clearTimeout(timer);
  }
}
