/** A part of the service that runs in this process. */
export interface Role {
  readonly name: string;
  /** Stops taking work, ends what is under way in order, then resolves; bounded in time, may be called twice. */
  close(): Promise<void>;
}
