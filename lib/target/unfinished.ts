/** A command that waits for what never comes: the process has nothing left to do, and would end with 0. */
import { writeSync } from 'node:fs';

/** Until it is disposed of, the end of the event loop is a failure, and says so. */
export function mustFinish(what: string): Disposable {
  const over = () => {
    process.exitCode = 1;
    writeSync(
      2,
      `${what} ended without a result: it waits for something that cannot come any more. That is a mistake of kvm-dsm's.\n`,
    );
  };
  process.once('beforeExit', over);
  return {
    [Symbol.dispose]() {
      process.off('beforeExit', over);
    },
  };
}
