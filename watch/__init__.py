"""The worker: takes journals into the store, diagnoses, notifies."""
