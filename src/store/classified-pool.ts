import { type Pool, toStoreError } from './pool.ts';

/** The same pool, whose statements throw what `toStoreError` makes of their faults: for those who answer others. */
export function classifiedPool(pool: Pool): Pool {
  const classify = async (work: () => unknown): Promise<unknown> => {
    try {
      return await work();
    } catch (thrown) {
      throw toStoreError(thrown);
    }
  };
  return new Proxy(pool, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      const method = (...given: unknown[]): unknown => Reflect.apply(value, target, given);
      return key === 'query' || key === 'connect'
        ? (...given: unknown[]) => classify(() => method(...given))
        : method;
    },
  });
}
