/** What the model knows of a timer. */
export interface Timer {
  /** The current count is not 0, or the deadline is still to come. */
  counting: boolean;
  /** It has expired, and KVM has not yet asked for its interrupt. */
  expired: boolean;
  /** IA32_TSC_DEADLINE, in TSC-deadline mode. */
  deadline: number;
}

export const stopped = (): Timer => ({ counting: false, expired: false, deadline: 0 });
