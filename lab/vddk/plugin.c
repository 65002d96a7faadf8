/* libdiskLibPlugin.so: that it can be loaded is all the double asks (lab.need_plugin). */
extern const int lab_vddk_plugin;
__attribute__((visibility("default"))) const int lab_vddk_plugin = 1;
