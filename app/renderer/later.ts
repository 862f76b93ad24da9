/** What of the window is not seen at its start. */
export { ApplianceScreen } from './screens/ApplianceScreen.tsx';
export { CurrentSheet } from './screens/CurrentSheet.tsx';
export { HistoryScreen } from './screens/HistoryScreen.tsx';
export { ProgressScreen } from './screens/ProgressScreen.tsx';
export { ResultScreen } from './screens/ResultScreen.tsx';
export { SettingsScreen } from './screens/SettingsScreen.tsx';
