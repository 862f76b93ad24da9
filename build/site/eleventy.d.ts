/** The part of Eleventy that is used here: the package brings no types. */
declare module '@11ty/eleventy' {
  export class Eleventy {
    constructor(input: string, output: string, options: object);
    write(): Promise<unknown>;
  }
}
