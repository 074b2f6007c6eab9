#include "fabric/data/hdf5.h"

namespace ufab::hdf5 {

void quiet() {
  static const bool done = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  UFAB_ASSERT(done);
}

namespace {

bool write_attribute(const File& file, const char* name, hid_t stored, hid_t native, const void* value) {
  const Space space(H5Screate(H5S_SCALAR));
  const Attribute attribute(H5Acreate2(file.id(), name, stored, space.id(), H5P_DEFAULT, H5P_DEFAULT));
  return attribute.ok() && H5Awrite(attribute.id(), native, value) >= 0;
}

// Opens a scalar attribute of the given class; its type in `type`.
Attribute open_scalar(const File& file, const char* name, H5T_class_t wanted, Type& type) {
  Attribute attribute(H5Aopen(file.id(), name, H5P_DEFAULT));
  if (!attribute.ok()) return {};
  const Space space(H5Aget_space(attribute.id()));
  type = Type(H5Aget_type(attribute.id()));
  if (!space.ok() || !type.ok() || H5Sget_simple_extent_npoints(space.id()) != 1) return {};
  if (H5Tget_class(type.id()) != wanted) return {};
  return attribute;
}

bool read_number(const File& file, const char* name, H5T_class_t wanted, hid_t native, void* value) {
  Type type;
  const Attribute attribute = open_scalar(file, name, wanted, type);
  return attribute.ok() && H5Tget_size(type.id()) == 8 && H5Aread(attribute.id(), native, value) >= 0;
}

}  // namespace

bool write_text(const File& file, const char* name, const std::string& text) {
  const Type type(H5Tcopy(H5T_C_S1));
  const std::size_t size = text.empty() ? 1 : text.size();
  if (H5Tset_size(type.id(), size) < 0 || H5Tset_strpad(type.id(), H5T_STR_NULLPAD) < 0) return false;
  return write_attribute(file, name, type.id(), type.id(), text.c_str());
}

bool write_u64(const File& file, const char* name, std::uint64_t value) {
  return write_attribute(file, name, H5T_STD_U64LE, H5T_NATIVE_UINT64, &value);
}

bool write_f64(const File& file, const char* name, double value) {
  return write_attribute(file, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value);
}

bool read_text(const File& file, const char* name, std::size_t max_size, std::string& text) {
  Type type;
  const Attribute attribute = open_scalar(file, name, H5T_STRING, type);
  if (!attribute.ok() || H5Tis_variable_str(type.id()) != 0) return false;
  const std::size_t size = H5Tget_size(type.id());
  if (size == 0 || size > max_size) return false;
  text.assign(size, '\0');
  if (H5Aread(attribute.id(), type.id(), text.data()) < 0) return false;
  text.resize(text.find_last_not_of('\0') + 1);
  return true;
}

bool read_u64(const File& file, const char* name, std::uint64_t& value) {
  return read_number(file, name, H5T_INTEGER, H5T_NATIVE_UINT64, &value);
}

bool read_f64(const File& file, const char* name, double& value) {
  return read_number(file, name, H5T_FLOAT, H5T_NATIVE_DOUBLE, &value);
}

Dataset create_dataset(const File& file, const char* name, hid_t type, std::uint64_t count) {
  const hsize_t extent = count;
  const Space space(H5Screate_simple(1, &extent, nullptr));
  const Properties properties(H5Pcreate(H5P_DATASET_CREATE));
  if (!space.ok() || H5Pset_obj_track_times(properties.id(), false) < 0 ||
      H5Pset_layout(properties.id(), H5D_CONTIGUOUS) < 0 ||
      H5Pset_alloc_time(properties.id(), H5D_ALLOC_TIME_EARLY) < 0 ||
      H5Pset_fill_time(properties.id(), H5D_FILL_TIME_NEVER) < 0) {
    return {};
  }
  return Dataset(H5Dcreate2(file.id(), name, type, space.id(), H5P_DEFAULT, properties.id(), H5P_DEFAULT));
}

Dataset open_dataset(const File& file, const char* name, hid_t type, std::uint64_t count) {
  Dataset dataset(H5Dopen2(file.id(), name, H5P_DEFAULT));
  if (!dataset.ok()) return {};
  const Space space(H5Dget_space(dataset.id()));
  const Type stored(H5Dget_type(dataset.id()));
  hsize_t extent = 0;
  if (!space.ok() || !stored.ok() || H5Sget_simple_extent_ndims(space.id()) != 1 ||
      H5Sget_simple_extent_dims(space.id(), &extent, nullptr) != 1 || extent != count ||
      H5Tequal(stored.id(), type) <= 0) {
    return {};
  }
  return dataset;
}

Properties file_creation() {
  Properties properties(H5Pcreate(H5P_FILE_CREATE));
  UFAB_ASSERT(properties.ok() && H5Pset_obj_track_times(properties.id(), false) >= 0);
  return properties;
}

}  // namespace ufab::hdf5
