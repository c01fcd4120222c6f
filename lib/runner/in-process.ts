/** A script's runs in this process. */
import { pathToFileURL } from 'node:url';
import { RunBudget } from '../base/budget.ts';
import { ArgumentError, KvmDsmError } from '../base/errors.ts';
import { forwardsIpi } from '../exit/dsm.ts';
import { eventsOf } from '../host/ftrace/choice.ts';
import { Random, randomWasUsed } from '../script/random.ts';
import { type ObservedMachine, type Observer, Session } from '../script/session.ts';
import { paintForAnother } from '../target/paint.ts';
import { profileFor, tellOnStderr } from '../target/profile.ts';
import { isExit } from '../trace/event.ts';
import { countStored } from '../trace/record.ts';
import { loadModules, type PublicModules } from './bundle/public-modules.ts';
import { NothingExploredError } from './errors.ts';
import { importModule } from './evaluate/import-module.ts';
import { ScriptFunction } from './evaluate/script-function.ts';
import { type Finding, findingsOf } from './findings.ts';
import { explainMissingFile } from './lab-files.ts';
import { TestFeed } from './node-test.ts';
import { failureOf } from './outcome.ts';
import { phaseEnded } from './phase-inside.ts';
import { GRACE, type ParsedRun, type ScriptFailure, type ScriptOutcome } from './protocol.ts';
import { repeatRuns } from './repeat.ts';
import { type ScriptReporter, scriptReporter } from './report.ts';
import { RunMachines } from './run-machines.ts';
import { ScriptEnd, StrayError } from './script-end.ts';
import { TraceLines } from './trace-lines.ts';

/** Does a script's runs in this process; returns the exit code. */
export function runInProcess(run: ParsedRun, code: string | undefined, modules: PublicModules): Promise<number> {
  const reporter = scriptReporter(run);
  const runOnce = prepare(run, code, modules, reporter);
  reporter.start();
  return repeatRuns(run, reporter, runOnce);
}

/** Does one run for the process that has started this one, and tells it what came of it; returns the exit code. */
export async function runAsPart(run: ParsedRun, code: string | undefined, modules: PublicModules): Promise<number> {
  const reporter = scriptReporter(run);
  const outcome = await prepare(run, code, modules, reporter)(run.options.seed!, () => 1);
  reporter.ran(outcome, 1);
  await new Promise((sent) => process.send!(outcome, sent));
  return outcome.failure?.exitCode ?? 0;
}

/** What each run begins with anew: the script's modules, its random choices and its machines. */
function prepare(
  run: ParsedRun,
  code: string | undefined,
  modules: PublicModules,
  reporter: ScriptReporter,
): (seed: number, exited: (outcome: ScriptOutcome) => number) => Promise<ScriptOutcome> {
  const { script, imports, args, options, tests } = run;
  const body = code === undefined ? undefined : new ScriptFunction(code, script);
  const ends = performance.now() + options.timeout * 1000;
  const budget = new RunBudget(options.timeout * 1000);
  const profile = profileFor(options, tellOnStderr);
  const trace = options.trace === undefined ? undefined : new TraceLines(profile, run.ownProcess, reporter.trace);
  if (run.colours) paintForAnother();
  return async (seed, exited) => {
    const machines = new RunMachines();
    let exits = 0;
    let forwarded = 0;
    const explored = { schedules: 0, steps: 0 };
    /** So many interrupts between the machine's nodes have been told of. */
    const crossed = new WeakMap<ObservedMachine, number>();
    const observer: Observer = {
      machine(machine) {
        machines.add(machine);
        trace?.machine(machine);
      },
      exitsOnly: reporter.countsOnly === true && !trace,
      event: (event, machine) => {
        if (isExit(event)) {
          exits += 1;
          if (forwardsIpi(event.exit)) forwarded += 1;
        }
        reporter.event(event, machines.numberOf(machine));
        trace?.event(event, machine);
      },
      // The file has each as an object.
      ...(reporter.stored &&
        !trace && {
          stored: (events, machine) => {
            const counts = countStored(events);
            exits += counts.exits;
            forwarded += counts.forwarded;
            reporter.stored!(events, machines.numberOf(machine));
          },
        }),
      told() {
        trace?.told();
        reporter.told();
      },
      explored(more) {
        explored.schedules += more.schedules;
        explored.steps += more.steps;
        reporter.explored(more.schedules);
      },
      ran(machine) {
        const at = machines.numberOf(machine);
        // Of a machine that runs long these are many.
        if (!reporter.ipis && !trace) return;
        const ipis = machine.nodeIpis(crossed.get(machine) ?? 0);
        crossed.set(machine, (crossed.get(machine) ?? 0) + ipis.length);
        if (ipis.length > 0) reporter.ipis?.(ipis, at);
        trace?.state(machine, ipis);
      },
    };
    const random = new Random(seed);
    const { device, exploring } = options;
    const session = new Session({ device, profile, observer, budget, random, ...(exploring && { exploring }) });
    // One script at a time: what it does outside of its own context is its own as well.
    session.makeDefault();
    process.argv = [process.execPath, script, ...args];
    const judge = (error: unknown, before?: string): ScriptFailure => {
      const found = findingsOf(session, machines.all, error);
      for (const finding of found) reporter.finding(finding);
      const told = failureOf(error, found, before);
      // An error with a report ends with one already.
      const drawn = hasReport(error)
        ? []
        : machines.all.map((machine) => machine.diagram()).filter((text) => text !== '');
      return drawn.length === 0 ? told : withDiagrams(told, drawn.slice(-MOST_DIAGRAMS));
    };
    const judgeThrown = (thrown: unknown): ScriptFailure =>
      thrown instanceof StrayError ? judge(thrown.error, thrown.words) : judge(explainMissingFile(thrown));
    const findingsAtEnd = (hasFailed: boolean): Finding[] => {
      try {
        return findingsOf(session, machines.all, undefined);
      } catch (error) {
        // What the script failed by is what counts.
        if (hasFailed) return [];
        throw error;
      }
    };
    const outcomeOf = (failure: ScriptFailure | undefined): ScriptOutcome => {
      // After a failure of another cause as well: it may be the one that the script could not know of.
      for (const finding of findingsAtEnd(failure !== undefined)) reporter.finding(finding);
      for (const machine of machines.all) machine.close();
      if (failure) trace?.failure(failure.json);
      trace?.next();
      const seeded = randomWasUsed(random);
      return {
        ...{ exits, forwarded, seed, seeded },
        ...(explored.schedules > 0 && { explored }),
        ...(failure ? { failure } : {}),
      };
    };
    const feed = tests ? new TestFeed() : undefined;
    const end = new ScriptEnd({
      limit: Math.max(0, ends + GRACE - performance.now()),
      leftGoing: () => machines.all.flatMap(({ leftGoing }) => leftGoing),
      hasIdleMachine: () => machines.all.some(({ unused }) => unused),
      feed,
    });
    const onExit = (exitCode: number) => {
      const error = end.exited(exitCode);
      process.exitCode = exited(outcomeOf(error && judge(error)));
    };
    process.once('exit', onExit);
    let failure: ScriptFailure | undefined;
    phaseEnded('questions');
    try {
      await end.wait(async () => {
        if (options.kernelEvents) trace?.recordKernel(eventsOf(options.kernelEvents));
        if (options.shard) {
          const { joinShard } = await import('./shard.ts');
          session.shard = await joinShard(options.shard);
        }
        await session.run(async () =>
          body ? body.run(await loadModules(modules, imports)) : importAfresh(script, seed),
        );
        const failed = await feed?.ended();
        if (failed) failure = judge(failed.error, `${failed.count} of the tests failed, first "${failed.name}": `);
      });
      if (!failure) end.checkExitCode();
      if (!failure && exploring && explored.schedules === 0) throw new NothingExploredError();
      if (!failure && machines.all.length === 0 && imports.includes('kvm-dsm/suite')) throw noScript(script);
    } catch (thrown) {
      failure ??= judgeThrown(thrown);
    }
    phaseEnded('script');
    await session.shard?.leave(failure ? 'failed' : 'ended');
    process.off('exit', onExit);
    process.exitCode = undefined;
    // After a failure there is no other run, and what comes now is no news.
    if (!failure) end.clear();
    return outcomeOf(failure);
  };
}

/** So many machines of a script are drawn if it fails of itself. */
const MOST_DIAGRAMS = 2;

const hasReport = (error: unknown) => error instanceof KvmDsmError && error.report !== '';

function withDiagrams(failure: ScriptFailure, diagrams: readonly string[]): ScriptFailure {
  const json = { ...failure.json, diagrams };
  return { ...failure, text: [failure.text, ...diagrams].join('\n\n'), json };
}

/** What defines checks does nothing by itself. */
function noScript(script: string): ArgumentError {
  return new ArgumentError(
    'script',
    `${script} imports kvm-dsm/suite and made no machine: it is a module of checks, of which none was run`,
    `Run them by \`kvm-dsm test --checks ${script}\`.`,
  );
}

function importAfresh(script: string, seed: number): Promise<unknown> {
  return importModule(`${pathToFileURL(script).href}?seed=${seed}`);
}
