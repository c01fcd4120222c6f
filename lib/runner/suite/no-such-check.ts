import { ArgumentError } from '../../base/errors.ts';

/** No check is meant by what the command line says. */
export function noSuchCheck(patterns: readonly string[]): ArgumentError {
  const what = patterns.length > 0 ? `No check is named by ${patterns.join(' ')}` : 'There are no checks';
  return new ArgumentError('pattern', what, 'See `kvm-dsm test --list`.');
}
