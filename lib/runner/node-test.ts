const FEED = Symbol.for('kvm-dsm.test-events');

/** A reporter that reports to this module. By its text: inside the lab it has no file. */
const reporter = `export default async function* (events) {
  const feed = globalThis[Symbol.for('${FEED.description}')];
  feed?.start();
  for await (const event of events) feed?.event(event);
  feed?.end();
}`;

/** Node's options for a process that hears of node:test's events. With `json`, standard output is not for reports. */
export function testFlags(json: boolean): string[] {
  return [
    '--test-reporter=spec',
    `--test-reporter-destination=${json ? 'stderr' : 'stdout'}`,
    `--test-reporter=data:text/javascript,${encodeURIComponent(reporter)}`,
    '--test-reporter-destination=stderr',
  ];
}

/** What a reporter is told, as far as it matters here. */
interface TestEvent {
  type: string;
  data: {
    name: string;
    todo?: string | boolean | undefined;
    details?: { error?: { failureType?: string; cause?: unknown } };
  };
}

/** A script's tests of which some failed. */
export interface FailedTests {
  count: number;
  /** Of the first of them. */
  name: string;
  /** What that one threw, as it was thrown. */
  error: unknown;
}

/** Hears what becomes of the tests of a script, which node starts by itself. To be made before the script runs. */
export class TestFeed {
  #failed: FailedTests | undefined;
  #started = false;
  #finish: () => void = () => {};
  readonly #ended = new Promise<void>((resolve) => {
    this.#finish = resolve;
  });

  constructor() {
    (globalThis as Record<symbol, unknown>)[FEED] = {
      start: () => {
        this.#started = true;
      },
      event: (event: TestEvent) => this.#hear(event),
      // What the other reporter has to say is written before the event loop's next turn.
      end: () => setImmediate(this.#finish),
    };
  }

  #hear({ type, data }: TestEvent): void {
    const error = data.details?.error;
    if (type !== 'test:fail' || !error) return;
    // A failure that is meant to be, or that only repeats those of the tests inside.
    if ((data.todo !== undefined && data.todo !== false) || error.failureType === 'subtestsFailed') return;
    this.#failed ??= { count: 0, name: data.name, error: error.cause ?? error };
    this.#failed.count += 1;
  }

  /** True once there is a test: node looks after its errors. */
  get started(): boolean {
    return this.#started;
  }

  /** Waits for all tests; to be called when the script has been evaluated. Undefined if none failed. */
  async ended(): Promise<FailedTests | undefined> {
    // Node ends the tests when nothing else is left to do. A script that imports node:test may have no test.
    const idle = () => {
      if (!this.#started) this.#finish();
    };
    process.on('beforeExit', idle);
    await this.#ended;
    process.off('beforeExit', idle);
    return this.#failed;
  }
}
