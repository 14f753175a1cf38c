/**
 * Timers that were set from here on and neither fired nor were cleared, and that keep the process alive. The test runner
 * keeps timers of its own, which come and go at any time and which these do not count; so the runtime's own count of
 * timers would tell little.
 */
export function liveTimers(): number {
  return [...live].filter((timer) => timer.hasRef()).length;
}

const live = new Set<NodeJS.Timeout>();
const { setTimeout, setInterval, clearTimeout, clearInterval } = globalThis;

type Act = (...facts: unknown[]) => void;

function setLiveTimeout(act: Act, ms?: number, ...facts: unknown[]): NodeJS.Timeout {
  const timer = setTimeout(() => {
    live.delete(timer);
    act(...facts);
  }, ms);
  live.add(timer);
  return timer;
}

globalThis.setTimeout = Object.assign<typeof setLiveTimeout, typeof setTimeout>(setLiveTimeout, setTimeout);

globalThis.setInterval = ((act: Act, ms?: number, ...facts: unknown[]) => {
  const timer = setInterval(act, ms, ...facts);
  live.add(timer);
  return timer;
}) as typeof setInterval;

globalThis.clearTimeout = (timer) => {
  live.delete(timer as NodeJS.Timeout);
  clearTimeout(timer);
};

globalThis.clearInterval = (timer) => {
  live.delete(timer as NodeJS.Timeout);
  clearInterval(timer);
};
