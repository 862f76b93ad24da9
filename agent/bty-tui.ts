// The checkout's `bty-tui`: this file's name is what makes it so.
import './main.ts';
