// Loaded by node before Azurite: its telemetry is off (--disableTelemetry), but to load the library for it takes two thirds
// of the processor time of a start.
const module_ = require("node:module");

const load = module_._load;
module_._load = function (name, ...rest) {
    return name === "applicationinsights" ? {} : load.call(this, name, ...rest);
};
