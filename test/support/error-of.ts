import { KvmDsmError } from '../../lib/index.ts';

/** Calls `action` and returns the KvmDsmError that it throws; fails if it throws none. */
export function errorOf(action: () => unknown): KvmDsmError {
  try {
    action();
  } catch (error) {
    if (error instanceof KvmDsmError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
